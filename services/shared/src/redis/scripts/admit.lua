--- Admits one request: rates, concurrency, caps and the credit hold, all or nothing, in one call.
--- With an empty request id it only says what it would answer: nothing is written, nobody is told.
--- KEYS: state lease hold holds outbox need verdict limit.key limit.account limit.model live.key live.account live.model
--- ARGV: 1 request id, 2 account id, 3 key id, 4 model, 5 amount, 6 channel for needs, 7 JSON list of whole numbers: outbox
---       bound, low water, day cap, month cap (-1 = none), then five per scope (key, account, model): rpm, interval us, tpm,
---       concurrency (-1 = none), token charge
--- RETURNS: {kind, six limit states, ...}: 'ok'|'held' lease history at | 'resolved' | 'not_master' | 'metering_behind' |
---       'limited' scope kind wait-ms | 'need_lease' why now lease-view verdict-version verdict-text | 'capped' cap used wait-ms
--- @include server
--- @include limits
--- @include calendar
--- @include lease
--- @include caps
local state, lease, hold, holds, outbox, need, verdict = unpack(KEYS, 1, 7)
local id, account = ARGV[1], ARGV[2]
local amount = tonumber(ARGV[5])
local terms = cjson.decode(ARGV[7])
local caps = cap_fields(ARGV[3])
local asks_only = id == ''
local now_ms, now_us = read_clock()

local limits = {}
for scope = 1, 3 do
  local at = scope * 5
  limits[scope] = read_limit(KEYS[7 + scope], terms[at], terms[at + 1], terms[at + 2], now_ms, now_us)
  limits[scope].concurrency = terms[at + 3]
  limits[scope].charge = terms[at + 4]
end

local function answer(kind, ...)
  local a, b, c, d, e, f = limit_states(limits, now_us)
  return {kind, a, b, c, d, e, f, ...}
end

-- 1. A repeat of a call that may have run.
local seen = redis.call('HMGET', hold, 'st', 'lease', 'hist', 'at')
if seen[1] == 'held' then return answer('held', seen[2], seen[3], tonumber(seen[4])) end
if seen[1] then return answer('resolved') end

-- 2. Only a master spends.
local role, history = read_server()
if role ~= 'master' then return answer('not_master') end

-- 3. Metering must be able to follow.
if redis.call('HGET', state, 'full') == '1' or redis.call('XLEN', outbox) > terms[1] then
  return answer('metering_behind')
end

-- 4. Limits. The first that refuses is named; the wait is the one after which no rate refuses.
for scope = 1, 3 do
  local most = limits[scope].concurrency
  if most >= 0 and redis.call('SCARD', KEYS[10 + scope]) >= most then
    return answer('limited', scope, 'concurrency', 1000)
  end
end
local refused, refused_kind, wait_ms = nil, nil, 0
for scope = 1, 3 do
  local wait = math.ceil(request_wait_us(limits[scope], now_us) / 1000)
  if wait > 0 and not refused then refused, refused_kind = scope, 'requests' end
  wait_ms = math.max(wait_ms, wait)
end
for scope = 1, 3 do
  local wait = token_wait_ms(limits[scope], limits[scope].charge)
  if wait > 0 and not refused then refused, refused_kind = scope, 'tokens' end
  wait_ms = math.max(wait_ms, wait)
end
if refused then return answer('limited', refused, refused_kind, wait_ms) end

-- 5. The lease: granted to this history, not expired.
local f = redis.call('HMGET', lease, 'leaseId', 'history', 'exp', 'free', 'held', unpack(caps))
local function need_lease(why)
  if not asks_only then
    local before = redis.call('HGET', need, account)
    if not before or tonumber(before) < amount then redis.call('HSET', need, account, amount) end
    redis.call('PUBLISH', ARGV[6], account)
  end
  local told = redis.call('HMGET', verdict, 'version', 'text')
  return answer('need_lease', why, now_ms, lease_view(lease), told[1], told[2])
end
if not f[1] then return need_lease('missing') end
if f[2] ~= history then return need_lease('history') end
if now_ms >= tonumber(f[3]) then return need_lease('expired') end

-- 6. Spend caps of the key: UTC day and month of this moment.
local day, month = calendar(now_ms)
local day_text = tonumber(f[7]) == day and f[6] or '0'
local month_text = tonumber(f[9]) == month and f[8] or '0'
local used_day, used_month = tonumber(day_text), tonumber(month_text)
local cap_day, cap_month = terms[3], terms[4]
if cap_day >= 0 and used_day + amount > cap_day then return answer('capped', 'day', day_text, day_left_ms(now_ms)) end
if cap_month >= 0 and used_month + amount > cap_month then
  return answer('capped', 'month', month_text, month_left_ms(now_ms))
end

-- 7. Credit.
local free = tonumber(f[4])
if free < amount then return need_lease('short') end

-- 8. Everything passed: write.
if asks_only then return answer('ok', f[1], history, now_ms) end
for scope = 1, 3 do charge_limit(limits[scope], limits[scope].charge, now_ms) end
redis.call('HSET', lease, 'free', free - amount, 'held', tonumber(f[5]) + amount, caps[1], used_day + amount, caps[2], day,
  caps[3], used_month + amount, caps[4], month)
redis.call('HSET', hold, 'st', 'held', 'lease', f[1], 'hist', history, 'amt', amount, 'at', now_ms, 'beats', 0,
  'acct', account, 'key', ARGV[3], 'model', ARGV[4], 'day', day, 'month', month,
  'ck', limits[1].tpm >= 0 and limits[1].charge or -1, 'ca', limits[2].tpm >= 0 and limits[2].charge or -1,
  'cm', limits[3].tpm >= 0 and limits[3].charge or -1)
redis.call('ZADD', holds, now_ms, id)
-- Work that a service does for an account (concurrency -2) takes none of its places; heartbeats see the mark.
if limits[2].concurrency == -2 then redis.call('HSET', hold, 'uncounted', 1)
else for scope = 1, 3 do redis.call('SADD', KEYS[10 + scope], id) end end
if free - amount < terms[2] and redis.call('HSETNX', need, account, 0) == 1 then
  redis.call('PUBLISH', ARGV[6], account)
end
return answer('ok', f[1], history, now_ms)
