--- What is kept under an Idempotency-Key, from a part on; at most 64 parts at once.
--- KEYS: entry parts
--- ARGV: 1 index of the first part wanted, 2 request id
--- RETURNS: {state or '' when it is gone or another request's, ms since the last sign of life, parts in all, part ...}
--- @include server
local known = redis.call('HMGET', KEYS[1], 'st', 'req', 'beat')
if not known[1] or known[2] ~= ARGV[2] then return { '', 0, 0 } end
local from = tonumber(ARGV[1])
local answer = { known[1], read_clock() - tonumber(known[3]), redis.call('LLEN', KEYS[2]) }
for _, part in ipairs(redis.call('LRANGE', KEYS[2], from, from + 63)) do answer[#answer + 1] = part end
return answer
