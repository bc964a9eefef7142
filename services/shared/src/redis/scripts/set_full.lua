#!lua flags=allow-oom
--- Turns admissions of a bucket off or on: memory is short.
--- KEYS: state
--- ARGV: 1 '1' = full, '0' = not
--- RETURNS: 1
if ARGV[1] == '1' then redis.call('HSET', KEYS[1], 'full', 1) else redis.call('HDEL', KEYS[1], 'full') end
return 1
