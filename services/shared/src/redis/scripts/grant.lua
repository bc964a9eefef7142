--- Gives an account its lease, or more of it. Postgres has written the same totals before (MONEY.md 1.4).
--- KEYS: state lease need
--- ARGV: 1 account id, 2 lease id, 3 seq, 4 history, 5 era, 6 granted (cumulative), 7 exp ms, 8 '1' = may create, 9 not
---       after ms, 10 name of the made field in state, 11 channel for answers, then pairs of
---       field and value: the caps' counters that a new lease starts with
--- RETURNS: {'created'|'added'|'stale'|'no_era'|'not_master', lease-view}
--- @include server
--- @include lease
local state, lease, need = unpack(KEYS)
local role, history = read_server()
local now_ms = read_clock()
if role ~= 'master' then return {'not_master', lease_view(lease)} end
if history ~= ARGV[4] or now_ms > tonumber(ARGV[9]) then return {'stale', lease_view(lease)} end

local granted = tonumber(ARGV[6])
local f = redis.call('HMGET', lease, 'leaseId', 'history', 'granted', 'free', 'exp')
if f[1] == ARGV[2] then
  if f[2] ~= history then return {'stale', lease_view(lease)} end
  -- max(granted, G): a grant that comes twice or late adds nothing twice.
  local more = granted - tonumber(f[3])
  if more > 0 then redis.call('HSET', lease, 'granted', granted, 'free', tonumber(f[4]) + more) end
  if tonumber(ARGV[7]) > tonumber(f[5]) then redis.call('HSET', lease, 'exp', ARGV[7]) end
  redis.call('HDEL', need, ARGV[1])
  redis.call('PUBLISH', ARGV[11], ARGV[1])
  return {'added', lease_view(lease)}
end
if ARGV[8] ~= '1' then return {'stale', lease_view(lease)} end

-- Once per lease id: a flush takes the era with it, a repeat finds `made`.
if redis.call('HGET', state, 'era') ~= ARGV[5] then return {'no_era', lease_view(lease)} end
local made = redis.call('HGET', state, ARGV[10])
if made and tonumber(made) >= tonumber(ARGV[3]) then return {'stale', lease_view(lease)} end
redis.call('HSET', state, ARGV[10], ARGV[3])
redis.call('DEL', lease)
redis.call('HSET', lease, 'leaseId', ARGV[2], 'seq', ARGV[3], 'history', history, 'exp', ARGV[7], 'granted', ARGV[6],
  'free', ARGV[6], 'held', 0, 'spent', 0, 'returned', 0)
for at = 12, #ARGV, 2 do redis.call('HSET', lease, ARGV[at], ARGV[at + 1]) end
redis.call('HDEL', need, ARGV[1])
redis.call('PUBLISH', ARGV[11], ARGV[1])
return {'created', lease_view(lease)}
