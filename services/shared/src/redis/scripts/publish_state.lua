--- Whether all that was published into this server is there. A server that was restarted or promoted since may have lost
--- the last writes (a revocation among them), although its mark is there: then the mark names another history.
--- KEYS: ready catalog
--- ARGV: none
--- RETURNS: 1 = complete, 0 = all is to be published again
--- @include server
local _, history = read_server()
if redis.call('GET', KEYS[1]) == history and redis.call('EXISTS', KEYS[2]) == 1 then return 1 end
return 0
