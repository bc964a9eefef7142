-- The outbox has an id of its own: FLUSHALL or DEL lose records without changing run_id or replid, and stream ids may
-- begin again. `fresh` = text that was never used before.
local function outbox_id(state, outbox, fresh)
  local id = redis.call('HGET', state, 'outbox')
  if not id or redis.call('EXISTS', outbox) == 0 then
    redis.call('HSET', state, 'outbox', fresh)
    return fresh
  end
  return id
end
