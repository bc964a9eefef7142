-- What settle, void and reap share: taking a hold's money out of its lease, and leaving a tombstone.

-- Moves a hold's money in the lease that admitted it: `amount` is spent, the rest is free again. True when it moved;
-- false when that lease is not here any more, or the hold was made again by a heartbeat and owns no money here.
-- `caps` = field names of the key's day and month counters and of their dates; they are put right only if the stored
-- day (month) still is the one of the admission.
local function release_hold(lease, hold, amount, caps)
  if hold.re then return false end
  local f = redis.call('HMGET', lease, 'leaseId', 'free', 'held', 'spent', caps[1], caps[2], caps[3], caps[4])
  if not f[1] or f[1] ~= hold.lease then return false end
  local held = tonumber(hold.amt)
  local spent = math.min(amount, held)
  redis.call('HSET', lease, 'free', tonumber(f[2]) + held - spent, 'held', tonumber(f[3]) - held,
    'spent', tonumber(f[4]) + spent)
  if spent < held then
    if f[6] and f[6] == hold.day then redis.call('HINCRBY', lease, caps[1], spent - held) end
    if f[8] and f[8] == hold.month then redis.call('HINCRBY', lease, caps[3], spent - held) end
  end
  return true
end

local function read_hold(key)
  local f = redis.call('HMGET', key, 'st', 'lease', 'amt', 'day', 'month', 're', 'ck', 'ca', 'cm', 'beats', 'how', 'sid',
    'outbox')
  return {st = f[1], lease = f[2], amt = f[3], day = f[4], month = f[5], re = f[6], charges = {f[7], f[8], f[9]},
    beats = f[10], how = f[11], sid = f[12], outbox = f[13]}
end

-- Off the lists of live holds, whether or not the hash was still there.
local function unlist(id, holds, live)
  redis.call('ZREM', holds, id)
  for _, key in ipairs(live) do redis.call('SREM', key, id) end
end

local function leave_tombstone(key, ttl, how, sid, outbox)
  redis.call('DEL', key)
  if sid then
    redis.call('HSET', key, 'st', 'resolved', 'how', how, 'sid', sid, 'outbox', outbox)
  else
    redis.call('HSET', key, 'st', 'resolved', 'how', how)
  end
  redis.call('PEXPIRE', key, ttl)
end
