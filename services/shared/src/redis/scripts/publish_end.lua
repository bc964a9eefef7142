--- Marks this server as complete, if it still is the one on which the publication began and has lost nothing since.
--- KEYS: note ready
--- ARGV: none
--- RETURNS: 1 = marked, 0 = it was emptied, restarted or replaced meanwhile: all is to be published again
--- @include server
local _, history = read_server()
if redis.call('GET', KEYS[1]) ~= history then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], history)
return 1
