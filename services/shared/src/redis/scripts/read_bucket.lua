--- What a bucket's reader has to know first.
--- KEYS: state
--- ARGV: none
--- RETURNS: {role, history, now ms, era or nil}
--- @include server
local role, history = read_server()
local now_ms = read_clock()
return {role, history, now_ms, redis.call('HGET', KEYS[1], 'era')}
