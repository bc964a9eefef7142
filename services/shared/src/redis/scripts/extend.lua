--- Lets a lease live longer. The later exp stands in Postgres already, on a row that was read as open (MONEY.md 1.2).
--- KEYS: lease
--- ARGV: 1 lease id, 2 history, 3 exp ms
--- RETURNS: 'extended' | 'stale'
--- @include server
local role, history = read_server()
local f = redis.call('HMGET', KEYS[1], 'leaseId', 'history', 'exp')
if role ~= 'master' or history ~= ARGV[2] or f[1] ~= ARGV[1] or f[2] ~= history then return 'stale' end
if tonumber(ARGV[3]) > tonumber(f[3]) then redis.call('HSET', KEYS[1], 'exp', ARGV[3]) end
return 'extended'
