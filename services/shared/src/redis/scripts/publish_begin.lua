--- Begins a publication of everything: a note in which history of this server it began.
--- KEYS: note
--- ARGV: 1 seconds after which the note of a publication that was cut off goes
--- RETURNS: 1
--- @include server
local _, history = read_server()
redis.call('SET', KEYS[1], history, 'EX', tonumber(ARGV[1]))
return 1
