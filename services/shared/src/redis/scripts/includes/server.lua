-- Role and history of this server, read inside the script so that nothing can change between check and spend.
-- Both ids have 40 letters. Plain searches, each from where the last one ended, cost a fraction of patterns.
local function read_server()
  local info = redis.call('INFO', 'server', 'replication')
  local _, run_at = string.find(info, '\nrun_id:', 1, true)
  local _, role_at = string.find(info, '\nrole:', run_at, true)
  local _, replid_at = string.find(info, '\nmaster_replid:', role_at, true)
  local role = string.sub(info, role_at + 1, role_at + 6) == 'master' and 'master' or 'replica'
  local run, replid = string.sub(info, run_at + 1, run_at + 40), string.sub(info, replid_at + 1, replid_at + 40)
  return role, table.concat({run, ':', replid})
end

-- TIME is read once per script: it is not frozen inside one. Milliseconds, microseconds.
local function read_clock()
  local time = redis.call('TIME')
  local us = tonumber(time[1]) * 1000000 + tonumber(time[2])
  return math.floor(us / 1000), us
end

-- A name that nobody had before, from text that its caller never used before. The text alone is not enough: a call may
-- run twice (a client sends again what got no answer), and what the first run named may be lost in between.
local function stamped(fresh)
  local time = redis.call('TIME')
  return table.concat({fresh, '@', time[1], '.', time[2]})
end
