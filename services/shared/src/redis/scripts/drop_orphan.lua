--- Takes an id off the list of live holds if its hash is gone.
--- KEYS: hold holds
--- ARGV: 1 request id
--- RETURNS: 1 = dropped, 0 = the hold is there
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
