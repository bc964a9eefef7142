-- The outbox has an id of its own: FLUSHALL or DEL lose records without changing run_id or replid, and stream ids may
-- begin again. `fresh` = text that its caller never used before. Needs: server.
local function outbox_id(state, outbox, fresh)
  local id = redis.call('HGET', state, 'outbox')
  if not id or redis.call('EXISTS', outbox) == 0 then
    id = stamped(fresh)
    redis.call('HSET', state, 'outbox', id)
  end
  return id
end
