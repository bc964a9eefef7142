#!lua flags=allow-oom
--- Ends a hold whose router is gone: with a record made from its heartbeats, or as void. Does nothing when the hold is
--- not the one that was judged: another history, another lease, or a heartbeat since.
--- KEYS: state lease hold holds outbox limit.key limit.account limit.model live.key live.account live.model
--- ARGV: 1 request id, 2 router id, 3 lease id, 4 amount, 5 tokens that stay charged, 6 record ('' = void), 7 key id,
---       8 tombstone ms, 9 fresh outbox id, 10 history, 11 expected beats
--- RETURNS: 'reaped' | 'voided' | 'moved' | 'resolved'
--- @include server
--- @include limits
--- @include correct
--- @include caps
--- @include finish
--- @include outbox
local state, lease, hold_key, holds, outbox = unpack(KEYS, 1, 5)
local _, history = read_server()
local hold = read_hold(hold_key)
if history ~= ARGV[10] then return 'moved' end
if hold.st ~= 'held' then return 'resolved' end
if hold.lease ~= ARGV[3] or hold.beats ~= ARGV[11] then return 'moved' end

local now_ms = read_clock()
local billed = ARGV[6] ~= ''
correct_tokens({KEYS[6], KEYS[7], KEYS[8]}, hold.charges, tonumber(ARGV[5]), now_ms)
release_hold(lease, hold, billed and tonumber(ARGV[4]) or 0, cap_fields(ARGV[7]))
unlist(ARGV[1], holds, {KEYS[9], KEYS[10], KEYS[11]})
if not billed then
  leave_tombstone(hold_key, ARGV[8], 'voided')
  return 'voided'
end
local outbox_now = outbox_id(state, outbox, ARGV[9])
local sid = redis.call('XADD', outbox, '*', 'r', ARGV[6], 'w', ARGV[2])
leave_tombstone(hold_key, ARGV[8], 'reaped', sid, outbox_now)
return 'reaped'
