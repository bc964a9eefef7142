-- After a request: put right what admission charged to the token rates. `used` tokens stay charged.
-- Debt is at most one bucket. A scope that had no limit at admission has no charge; a bucket that is gone is full.
local function correct_tokens(keys, charges, used, now_ms)
  for index, key in ipairs(keys) do
    local charge = tonumber(charges[index] or -1)
    if charge and charge >= 0 and charge ~= used then
      local stored = redis.call('HMGET', key, 'lvl', 'at', 'tpm')
      local tpm = tonumber(stored[3])
      if tpm and stored[1] then
        local capacity = tpm * WINDOW_MS
        local lvl = refilled(tonumber(stored[1]), tonumber(stored[2]), tpm, now_ms)
        lvl = clamp(lvl + (charge - used) * WINDOW_MS, -capacity, capacity)
        redis.call('HSET', key, 'lvl', lvl, 'at', now_ms)
      end
    end
  end
end
