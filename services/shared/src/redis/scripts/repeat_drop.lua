#!lua flags=allow-oom
--- Forgets the entry of an Idempotency-Key: its request ended without a bill, so a repeat may run it anew; or it is
--- evicted (epoch 0), unless it is running.
--- KEYS: entry parts index sizes
--- ARGV: 1 digest of the entry, 2 request id, 3 epoch (0 = evict whatever has ended)
--- RETURNS: bytes that the account keeps after this; -1 = it stays: it is another router's, or running
local known = redis.call('HMGET', KEYS[1], 'st', 'req', 'epoch')
if ARGV[3] == '0' then
  if known[1] == 'running' then return -1 end
elseif known[1] and (known[2] ~= ARGV[2] or known[3] ~= ARGV[3]) then
  return -1
end
redis.call('DEL', KEYS[1], KEYS[2])
local size = redis.call('HGET', KEYS[4], ARGV[1])
if size then
  redis.call('HDEL', KEYS[4], ARGV[1])
  redis.call('HINCRBY', KEYS[4], 'total', -tonumber(size))
end
redis.call('ZREM', KEYS[3], ARGV[1])
return tonumber(redis.call('HGET', KEYS[4], 'total') or '0')
