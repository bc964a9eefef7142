#!lua flags=allow-oom
--- The keeper's to-do list, taken. A lost answer costs one more admission that asks again.
--- KEYS: need
--- ARGV: none
--- RETURNS: {account id, nano-USD lacking, ...}
local needs = redis.call('HGETALL', KEYS[1])
if #needs > 0 then redis.call('DEL', KEYS[1]) end
return needs
