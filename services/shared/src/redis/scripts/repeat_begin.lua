--- Opens the entry of an Idempotency-Key, or says what is there. One router at a time owns a running entry; one whose
--- owner has given no sign of life for a while goes to whoever asks next, with a higher epoch that fences the old owner.
--- Also forgets what has expired and names the oldest entries of an account that keeps too much.
--- KEYS: entry parts index sizes
--- ARGV: 1 digest of the entry, 2 digest of the body, 3 request id, 4 router id, 5 ttl ms, 6 stale after ms, 7 lost after ms, 8 bytes kept per account
--- RETURNS: {'first'|'other_body'|'running'|'done'|'dropped'|'lost'|'taken', request id, epoch, parts, progress, oldest digests (when the account keeps too much) ...}
--- @include server
local now_ms = read_clock()
local old = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now_ms, 'LIMIT', 0, 100)
local function forget(digest)
  local size = redis.call('HGET', KEYS[4], digest)
  if size then
    redis.call('HDEL', KEYS[4], digest)
    redis.call('HINCRBY', KEYS[4], 'total', -tonumber(size))
  end
  redis.call('ZREM', KEYS[3], digest)
end
for _, digest in ipairs(old) do forget(digest) end

local known = redis.call('HMGET', KEYS[1], 'st', 'body', 'req', 'epoch', 'beat', 'progress')
local st, epoch = known[1], tonumber(known[4] or '0')
if not st then
  redis.call('HSET', KEYS[1], 'st', 'running', 'body', ARGV[2], 'req', ARGV[3], 'epoch', 1, 'router', ARGV[4], 'beat', now_ms)
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
  redis.call('DEL', KEYS[2])
  forget(ARGV[1])
  redis.call('ZADD', KEYS[3], now_ms + tonumber(ARGV[5]), ARGV[1])
  redis.call('PEXPIRE', KEYS[3], ARGV[5])
  local answer = { 'first', ARGV[3], 1, 0, '' }
  if tonumber(redis.call('HGET', KEYS[4], 'total') or '0') > tonumber(ARGV[8]) then
    for _, digest in ipairs(redis.call('ZRANGE', KEYS[3], 0, 31)) do answer[#answer + 1] = digest end
  end
  return answer
end
local parts = redis.call('LLEN', KEYS[2])
if known[2] ~= ARGV[2] then return { 'other_body', known[3], epoch, 0, '' } end
if st ~= 'running' then return { st, known[3], epoch, parts, '' } end
local silent_ms = now_ms - tonumber(known[5])
if silent_ms < tonumber(ARGV[6]) then return { 'running', known[3], epoch, parts, '' } end
-- Too long ago: the hold may have been billed by the reaper and its tombstone be gone, so nobody may run it again.
if silent_ms > tonumber(ARGV[7]) then return { 'lost', known[3], epoch, parts, '' } end
redis.call('HSET', KEYS[1], 'epoch', epoch + 1, 'router', ARGV[4], 'beat', now_ms)
return { 'taken', known[3], epoch + 1, parts, known[6] or '' }
