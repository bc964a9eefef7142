#!lua flags=allow-oom
--- Ends a lease that has nothing free and nothing held. Its last totals are the answer. A grant that is still under way
--- finds no hash and cannot make one (`made`).
--- KEYS: lease
--- ARGV: 1 lease id, 2 history
--- RETURNS: {'closed'|'busy'|'stale', lease-view before}
--- @include server
--- @include lease
local role, history = read_server()
local before = lease_view(KEYS[1])
if role ~= 'master' or history ~= ARGV[2] or not before or before[1] ~= ARGV[1] or before[3] ~= history then
  return {'stale', before}
end
if tonumber(before[6]) ~= 0 or tonumber(before[7]) ~= 0 then return {'busy', before} end
redis.call('DEL', KEYS[1])
return {'closed', before}
