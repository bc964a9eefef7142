#!lua flags=allow-oom
--- Renews running requests: hold, concurrency and intent at once. A hold that is gone (flush, failover) stands again
--- with all its intent, but owns no money of the lease; one that has ended stays ended.
--- KEYS: holds, then four per beat: hold live.key live.account live.model *
--- ARGV: ten per beat: request id, account id, key id, model, lease id, history, admitted at ms, amount, intent, progress
--- RETURNS: one per beat: 'held' | 'recreated' | 'resolved'
--- @include server
local now_ms = read_clock()
local answers = {}
for beat = 1, #ARGV / 10 do
  local a, k = (beat - 1) * 10, (beat - 1) * 4 + 1
  local hold, id = KEYS[k + 1], ARGV[a + 1]
  local st = redis.call('HGET', hold, 'st')
  if st == 'held' then
    redis.call('HSET', hold, 'intent', ARGV[a + 9], 'progress', ARGV[a + 10])
    redis.call('HINCRBY', hold, 'beats', 1)
    answers[beat] = 'held'
  elseif st then
    answers[beat] = 'resolved'
  else
    -- The counter starts at the time, so that nobody takes this hold for the one that was lost.
    redis.call('HSET', hold, 'st', 'held', 're', 1, 'acct', ARGV[a + 2], 'key', ARGV[a + 3], 'model', ARGV[a + 4],
      'lease', ARGV[a + 5], 'hist', ARGV[a + 6], 'at', ARGV[a + 7], 'amt', ARGV[a + 8], 'beats', now_ms,
      'intent', ARGV[a + 9], 'progress', ARGV[a + 10])
    answers[beat] = 'recreated'
  end
  if answers[beat] ~= 'resolved' then
    -- With every beat, not only at first: a list that was lost stands again too.
    redis.call('ZADD', KEYS[1], ARGV[a + 7], id)
    if not redis.call('HGET', hold, 'uncounted') then
      for live = 2, 4 do redis.call('SADD', KEYS[k + live], id) end
    end
  end
end
return answers
