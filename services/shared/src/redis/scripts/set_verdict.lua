--- Stores the keeper's answer for an account unless a newer balance is known.
--- KEYS: verdict
--- ARGV: 1 balance version, 2 text, 3 ttl ms, 4 account id, 5 channel for answers
--- RETURNS: 1 = stored, 0 = older than what is there
local known = redis.call('HGET', KEYS[1], 'version')
if known and tonumber(known) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'text', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PUBLISH', ARGV[5], ARGV[4])
return 1
