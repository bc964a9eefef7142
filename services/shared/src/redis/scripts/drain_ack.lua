#!lua flags=allow-oom
--- Removes records that Postgres has committed and tells their routers how far it got. Only for the outbox that they
--- were read from.
--- KEYS: state outbox confirm
--- ARGV: 1 run_id:replid, 2 outbox id, 3 number of routers, then three per router: id, newest stream id, confirmation
---       text (history|stream id), then the stream ids
--- RETURNS: 'acked' | 'history_changed'
--- @include server
local _, history = read_server()
if history ~= ARGV[1] or redis.call('HGET', KEYS[1], 'outbox') ~= ARGV[2] then return 'history_changed' end

local function parts(text)
  local ms, seq = string.match(text, '(%d+)%-(%d+)$')
  return tonumber(ms), tonumber(seq)
end
local function history_of(text)
  return string.match(text, '^(.*)|')
end

local at = 4
for _ = 1, tonumber(ARGV[3]) do
  local router, newest, text = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local before = redis.call('HGET', KEYS[3], router)
  local newer = true
  if before and history_of(before) == history_of(text) then
    -- Stream ids are pairs of numbers: as text, 9-1 would come after 10-0.
    local old_ms, old_seq = parts(before)
    local new_ms, new_seq = parts(newest)
    newer = new_ms > old_ms or (new_ms == old_ms and new_seq > old_seq)
  end
  if newer then redis.call('HSET', KEYS[3], router, text) end
  at = at + 3
end
for index = at, #ARGV do redis.call('XDEL', KEYS[2], ARGV[index]) end
return 'acked'
