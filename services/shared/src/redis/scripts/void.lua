#!lua flags=allow-oom
--- Ends a request that costs nothing: its hold's money is free again. The tombstone makes a late admit of that id answer
--- 'resolved' instead of taking a hold that nobody will end.
--- KEYS: lease hold holds limit.key limit.account limit.model live.key live.account live.model
--- ARGV: 1 request id, 2 tokens that stay charged, 3 key id, 4 tombstone ms
--- RETURNS: 'voided' | 'absent' | 'resolved'
--- @include server
--- @include limits
--- @include correct
--- @include caps
--- @include finish
local lease, hold_key, holds = unpack(KEYS, 1, 3)
local hold = read_hold(hold_key)
if hold.st == 'resolved' then return 'resolved' end
if hold.st == 'held' then
  local now_ms = read_clock()
  correct_tokens({KEYS[4], KEYS[5], KEYS[6]}, hold.charges, tonumber(ARGV[2]), now_ms)
  release_hold(lease, hold, 0, cap_fields(ARGV[3]))
end
unlist(ARGV[1], holds, {KEYS[7], KEYS[8], KEYS[9]})
leave_tombstone(hold_key, ARGV[4], 'voided')
return hold.st == 'held' and 'voided' or 'absent'
