--- Adds a sealed part to the answer kept under an Idempotency-Key, or just says that its router is alive. Repeating a
--- call is safe: a part that is there already is not added again. An answer above its limit is dropped, not cut; so is
--- every answer while memory is short: admissions need it more.
--- KEYS: entry parts index sizes state
--- ARGV: 1 digest of the entry, 2 request id, 3 epoch, 4 index of the part (-1 = none), 5 part, 6 progress, 7 state after this ('running'|'done'), 8 bytes kept per answer, 9 ttl ms
--- RETURNS: 'kept' | 'dropped' | 'fenced' (another router owns it, or it is gone)
--- @include server
local known = redis.call('HMGET', KEYS[1], 'st', 'req', 'epoch', 'bytes')
if known[1] == 'dropped' and known[2] == ARGV[2] then return 'dropped' end
if known[1] ~= 'running' or known[2] ~= ARGV[2] or known[3] ~= ARGV[3] then
  if known[1] == 'done' and known[2] == ARGV[2] and known[3] == ARGV[3] and ARGV[7] == 'done' then return 'kept' end
  return 'fenced'
end
local now_ms = read_clock()
local index = tonumber(ARGV[4])
if index >= 0 and redis.call('LLEN', KEYS[2]) == index then
  local bytes = redis.call('HINCRBY', KEYS[1], 'bytes', #ARGV[5])
  if bytes > tonumber(ARGV[8]) or redis.call('HGET', KEYS[5], 'full') == '1' then
    redis.call('HSET', KEYS[1], 'st', 'dropped')
    redis.call('DEL', KEYS[2])
    local size = redis.call('HGET', KEYS[4], ARGV[1])
    if size then
      redis.call('HDEL', KEYS[4], ARGV[1])
      redis.call('HINCRBY', KEYS[4], 'total', -tonumber(size))
    end
    return 'dropped'
  end
  redis.call('RPUSH', KEYS[2], ARGV[5])
  redis.call('HINCRBY', KEYS[4], ARGV[1], #ARGV[5])
  redis.call('HINCRBY', KEYS[4], 'total', #ARGV[5])
  redis.call('PEXPIRE', KEYS[2], ARGV[9])
  redis.call('PEXPIRE', KEYS[4], ARGV[9])
end
redis.call('HSET', KEYS[1], 'beat', now_ms, 'progress', ARGV[6], 'st', ARGV[7])
if ARGV[7] == 'done' then
  -- The time to live counts from the end: a repeat finds the answer for as long as promised.
  for key = 1, 4 do redis.call('PEXPIRE', KEYS[key], ARGV[9]) end
  redis.call('ZADD', KEYS[3], now_ms + tonumber(ARGV[9]), ARGV[1])
end
return 'kept'
