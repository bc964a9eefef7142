-- Field names of a key's spend counters in the lease: spent on a day, that day, spent in a month, that month.
local function cap_fields(key_id)
  local fields = {}
  for at, prefix in ipairs({'cd:', 'cdd:', 'cm:', 'cmm:'}) do fields[at] = table.concat({prefix, key_id}) end
  return fields
end
