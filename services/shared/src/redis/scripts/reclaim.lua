#!lua flags=allow-oom
--- Takes free money out of a lease. Redis first: Postgres books what the answer says (MONEY.md 1.4).
--- KEYS: lease
--- ARGV: 1 lease id, 2 history, 3 returned (cumulative): as much of it as is free
--- RETURNS: {'reclaimed'|'stale', lease-view}
--- @include server
--- @include lease
local role, history = read_server()
local f = redis.call('HMGET', KEYS[1], 'leaseId', 'history', 'free', 'returned')
if role ~= 'master' or history ~= ARGV[2] or f[1] ~= ARGV[1] or f[2] ~= history then
  return {'stale', lease_view(KEYS[1])}
end
local free, returned = tonumber(f[3]), tonumber(f[4])
local more = math.min(free, tonumber(ARGV[3]) - returned)
if more > 0 then redis.call('HSET', KEYS[1], 'free', free - more, 'returned', returned + more) end
return {'reclaimed', lease_view(KEYS[1])}
