--- The state of a key's limits and spend; charges nothing.
--- KEYS: lease limit.key limit.account limit.model live.key live.account live.model
--- ARGV: 1..4 names of the cap fields, then three per scope: rpm, interval us, tpm (-1 = none)
--- RETURNS: {six limit states, three live counts, used in the day, in the month (nil = no lease)}
--- @include server
--- @include limits
--- @include calendar
local now_ms, now_us = read_clock()
local limits = {}
for scope = 1, 3 do
  local at = 2 + scope * 3
  limits[scope] = read_limit(KEYS[1 + scope], tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]),
    now_ms, now_us)
end
local f = redis.call('HMGET', KEYS[1], 'leaseId', ARGV[1], ARGV[2], ARGV[3], ARGV[4])
local day, month = calendar(now_ms)
local used_day = tonumber(f[3]) == day and f[2] or '0'
local used_month = tonumber(f[5]) == month and f[4] or '0'
if not f[1] then used_day, used_month = false, false end
local a, b, c, d, e, g = limit_states(limits, now_us)
return {a, b, c, d, e, g, redis.call('SCARD', KEYS[5]), redis.call('SCARD', KEYS[6]), redis.call('SCARD', KEYS[7]),
  used_day, used_month}
