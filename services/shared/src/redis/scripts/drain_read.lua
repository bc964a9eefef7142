#!lua flags=no-writes
--- The oldest records of a bucket's outbox.
--- KEYS: state outbox
--- ARGV: 1 count
--- RETURNS: {role, run_id:replid, outbox id or nil, length, entries}
--- @include server
local role, history = read_server()
return {role, history, redis.call('HGET', KEYS[1], 'outbox'), redis.call('XLEN', KEYS[2]),
  redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', ARGV[1])}
