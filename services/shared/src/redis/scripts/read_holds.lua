--- The ids of a bucket's live holds, oldest first, and the history that they were read in.
--- KEYS: holds
--- ARGV: none
--- RETURNS: {history, now ms, ids}
--- @include server
local _, history = read_server()
local now_ms = read_clock()
return {history, now_ms, redis.call('ZRANGE', KEYS[1], 0, -1)}
