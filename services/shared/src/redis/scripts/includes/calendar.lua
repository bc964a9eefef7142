-- UTC day (since 1970-01-01) and month (year * 12 + 0..11) of a time; civil-from-days with whole numbers
-- (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
local DAY_MS = 86400000

local function civil(day)
  local z = day + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 2 or mp - 10
  local year = yoe + era * 400
  if month < 2 then year = year + 1 end
  return year * 12 + month
end

local function calendar(now_ms)
  local day = math.floor(now_ms / DAY_MS)
  return day, civil(day)
end

-- Milliseconds until the next UTC day, the next UTC month.
local function day_left_ms(now_ms)
  return DAY_MS - now_ms % DAY_MS
end

local function month_left_ms(now_ms)
  local day, month = calendar(now_ms)
  local ahead = 1
  while civil(day + ahead) == month do ahead = ahead + 1 end
  return (day + ahead) * DAY_MS - now_ms
end
