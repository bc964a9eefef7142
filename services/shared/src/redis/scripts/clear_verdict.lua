--- Forgets verdicts of balances before a version and refuses them from now on: a credit was added.
--- KEYS: verdict
--- ARGV: 1 balance version, 2 how long older ones are refused (ms), 3 account id, 4 channel for answers
--- RETURNS: 1 = cleared, 0 = what is there is as new
local known = redis.call('HGET', KEYS[1], 'version')
if known and tonumber(known) >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'text', '')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PUBLISH', ARGV[4], ARGV[3])
return 1
