--- The bucket's era, made if missing. A new era means: whatever leases this bucket had are lost.
--- KEYS: state
--- ARGV: 1 text for a fresh era
--- RETURNS: {era, 1 = made now, history, now ms, role}
--- @include server
local role, history = read_server()
local now_ms = read_clock()
local made = 0
if role == 'master' then made = redis.call('HSETNX', KEYS[1], 'era', stamped(ARGV[1])) end
return {redis.call('HGET', KEYS[1], 'era'), made, history, now_ms, role}
