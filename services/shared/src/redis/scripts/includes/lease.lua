-- The lease hash as ten-field answer, or false. Numbers leave as the text that Redis holds: nothing is printed here.
local function lease_view(key)
  local f = redis.call('HMGET', key, 'leaseId', 'seq', 'history', 'exp', 'granted', 'free', 'held', 'spent', 'returned')
  if not f[1] then return false end
  return f
end
