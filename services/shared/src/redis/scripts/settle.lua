#!lua flags=allow-oom
--- Ends a request that is billed: turns its hold into spent money and appends its usage record, once per request id.
--- KEYS: state lease hold holds outbox limit.key limit.account limit.model live.key live.account live.model
--- ARGV: 1 request id, 2 router id, 3 lease id of the record, 4 amount, 5 tokens used, 6 record, 7 key id, 8
---       tombstone ms, 9 fresh outbox id
--- RETURNS: {'settled'|'appended'|'repeated', stream id, run_id:replid, outbox id, 1 = Postgres has the record}
--- @include server
--- @include limits
--- @include correct
--- @include caps
--- @include finish
--- @include outbox
local state, lease, hold_key, holds, outbox = unpack(KEYS, 1, 5)
local id = ARGV[1]
local _, history = read_server()
local outbox_now = outbox_id(state, outbox, ARGV[9])
local hold = read_hold(hold_key)

-- A repeat, unless the outbox that it went to was lost since. Records leave the outbox only after their commit.
if hold.st == 'resolved' and hold.how == 'settled' and hold.outbox == outbox_now then
  local waiting = #redis.call('XRANGE', outbox, hold.sid, hold.sid)
  return {'repeated', hold.sid, history, outbox_now, waiting == 0 and 1 or 0}
end

local how = 'appended'
if hold.st == 'held' then
  local now_ms = read_clock()
  correct_tokens({KEYS[6], KEYS[7], KEYS[8]}, hold.charges, tonumber(ARGV[5]), now_ms)
  -- The record names the lease that pays in Postgres. A hold of another lease (an admit that ran late, after a loss)
  -- gives its money back instead.
  local pays = hold.lease == ARGV[3] and tonumber(ARGV[4]) or 0
  local moved = release_hold(lease, hold, pays, cap_fields(ARGV[7]))
  if moved and hold.lease == ARGV[3] then how = 'settled' end
end
unlist(id, holds, {KEYS[9], KEYS[10], KEYS[11]})
local sid = redis.call('XADD', outbox, '*', 'r', ARGV[6], 'w', ARGV[2])
leave_tombstone(hold_key, ARGV[8], 'settled', sid, outbox_now)
return {how, sid, history, outbox_now, 0}
