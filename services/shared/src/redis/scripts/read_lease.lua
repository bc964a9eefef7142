--- An account's lease together with what it must be judged by.
--- KEYS: state lease
--- ARGV: none
--- RETURNS: {role, history, now ms, era or nil, lease-view}
--- @include server
--- @include lease
local role, history = read_server()
local now_ms = read_clock()
return {role, history, now_ms, redis.call('HGET', KEYS[1], 'era'), lease_view(KEYS[2])}
