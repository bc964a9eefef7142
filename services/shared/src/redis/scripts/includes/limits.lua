-- Rates of one scope. Requests: GCRA with burst = rpm; `tat` in microseconds. Tokens: a bucket of tpm tokens that refills
-- tpm per minute; `lvl` counts 1/60000 tokens, so that one ms refills exactly tpm of them. Both clamp the time they see
-- to one minute, so that a step of the clock forgives or costs at most that.
local WINDOW_MS = 60000
local IDLE_MS = 3600000
-- A key's time to live is renewed once per so long, not with every request.
local RENEW_MS = 600000

local function clamp(value, low, high)
  if value < low then return low end
  if value > high then return high end
  return value
end

local function refilled(lvl, at, tpm, now_ms)
  local capacity = tpm * WINDOW_MS
  if not lvl then return capacity end
  local elapsed = clamp(now_ms - (at or now_ms), 0, WINDOW_MS)
  return math.min(capacity, math.max(lvl, -capacity) + elapsed * tpm)
end

-- rpm, tpm < 0 = no such limit; interval = whole microseconds per request.
local function read_limit(key, rpm, interval, tpm, now_ms, now_us)
  local limit = {key = key, rpm = rpm, interval = interval, tpm = tpm}
  if rpm < 0 and tpm < 0 then return limit end
  local stored = redis.call('HMGET', key, 'tat', 'lvl', 'at')
  limit.written_ms = tonumber(stored[3]) or (tonumber(stored[1]) or 0) / 1000
  if rpm >= 0 then
    limit.window = rpm * interval
    limit.tat = clamp(tonumber(stored[1]) or now_us, now_us, now_us + limit.window)
  end
  if tpm >= 0 then limit.lvl = refilled(tonumber(stored[2]), tonumber(stored[3]), tpm, now_ms) end
  return limit
end

-- Microseconds, then milliseconds, to wait until one more request, until `charge` tokens fit; 0 = now.
local function request_wait_us(limit, now_us)
  if limit.rpm < 0 then return 0 end
  if limit.rpm == 0 then return WINDOW_MS * 1000 end
  return math.max(0, limit.tat + limit.interval - now_us - limit.window)
end

local function token_wait_ms(limit, charge)
  if limit.tpm < 0 then return 0 end
  if limit.tpm == 0 then return WINDOW_MS end
  return math.max(0, math.ceil((charge * WINDOW_MS - limit.lvl) / limit.tpm))
end

local function charge_limit(limit, charge, now_ms)
  local has_rpm, has_tpm = limit.rpm >= 0, limit.tpm >= 0
  if not has_rpm and not has_tpm then return end
  if has_rpm then limit.tat = limit.tat + limit.interval end
  if has_tpm then limit.lvl = limit.lvl - charge * WINDOW_MS end
  local made
  if has_rpm and has_tpm then
    made = redis.call('HSET', limit.key, 'tat', limit.tat, 'lvl', limit.lvl, 'at', now_ms, 'tpm', limit.tpm)
  elseif has_rpm then
    made = redis.call('HSET', limit.key, 'tat', limit.tat)
  else
    made = redis.call('HSET', limit.key, 'lvl', limit.lvl, 'at', now_ms, 'tpm', limit.tpm)
  end
  if made > 0 or math.floor(limit.written_ms / RENEW_MS) ~= math.floor(now_ms / RENEW_MS) then
    redis.call('PEXPIRE', limit.key, IDLE_MS)
  end
end

-- {limit, remaining, reset ms} of requests, then of tokens, of the scope with the smallest remaining share; -1 = none.
local function limit_states(limits, now_us)
  local requests, tokens = {-1, -1, -1}, {-1, -1, -1}
  local request_share, token_share = 2, 2
  for _, limit in ipairs(limits) do
    if limit.rpm >= 0 then
      local left = limit.rpm == 0 and 0 or math.floor((limit.window - (limit.tat - now_us)) / limit.interval)
      local share = limit.rpm == 0 and 0 or left / limit.rpm
      if share < request_share then
        request_share = share
        requests = {limit.rpm, left, math.ceil((limit.tat - now_us) / 1000)}
      end
    end
    if limit.tpm >= 0 then
      local left = math.max(0, math.floor(limit.lvl / WINDOW_MS))
      local share = limit.tpm == 0 and 0 or left / limit.tpm
      if share < token_share then
        token_share = share
        local reset = limit.tpm == 0 and 0 or math.ceil((limit.tpm * WINDOW_MS - limit.lvl) / limit.tpm)
        tokens = {limit.tpm, left, reset}
      end
    end
  end
  return requests[1], requests[2], requests[3], tokens[1], tokens[2], tokens[3]
end
