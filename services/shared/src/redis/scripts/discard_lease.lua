#!lua flags=allow-oom
--- Removes the hash of a lease that Postgres has quarantined, whatever the history.
--- KEYS: lease
--- ARGV: 1 lease id
--- RETURNS: 'discarded' | 'absent'
if redis.call('HGET', KEYS[1], 'leaseId') ~= ARGV[1] then return 'absent' end
redis.call('DEL', KEYS[1])
return 'discarded'
