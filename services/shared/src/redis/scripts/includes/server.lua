-- Role and history of this server, read inside the script so that nothing can change between check and spend.
local function read_server()
  local info = redis.call('INFO', 'server', 'replication')
  local run = string.match(info, 'run_id:(%x+)')
  local role = string.match(info, 'role:(%a+)')
  local replid = string.match(info, 'master_replid:(%x+)')
  return role, table.concat({run, ':', replid})
end

-- TIME is read once per script: it is not frozen inside one. Milliseconds, microseconds.
local function read_clock()
  local time = redis.call('TIME')
  local us = tonumber(time[1]) * 1000000 + tonumber(time[2])
  return math.floor(us / 1000), us
end
