-- Field names of a key's spend counters in the lease: spent on a day, that day, spent in a month, that month.
local function cap_fields(key_id)
  return {'cd:' .. key_id, 'cdd:' .. key_id, 'cm:' .. key_id, 'cmm:' .. key_id}
end
