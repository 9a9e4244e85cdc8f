"""Lua scripts that run inside Redis: reads that follow links, and one commit that checks and writes.

All keys have one hash tag:

- `c:` and 8 bytes: a contact or a link
- `due`: due times of contacts
- `m:` and a name: times of open turns by contact
- `marks`: the names of those
- `cells`, `kept`, `leases`: hashes
- `w:` and 8 bytes: the latest commit of a writer
- `format`: the version of this format

A contact's row is a version of 8 bytes, then `S` and the state, or `L` and the key of another contact. Scripts pack
rows as one MessagePack array of binaries, which the other side decodes at once.
"""

from __future__ import annotations

from typing import Final

FORMAT: Final = b"1"
CONFLICT: Final = b"CONFLICT"


# KEYS[1] is the key of the format. It gives Cluster the slot, which all other keys share because of their tag.
_HEAD = """
local base = ARGV[1]
local contacts, due = base .. 'c:', base .. 'due'
local format = redis.call('GET', KEYS[1])
if format and format ~= '1' then return redis.error_reply('CHATVITALSFORMAT ' .. format) end
"""
_PACK = """
local function packed(rows)
  local parts = {struct.pack('>BI4', 0xdd, #rows)}
  for _, row in ipairs(rows) do
    parts[#parts + 1] = struct.pack('>BI4', 0xc6, #row)
    parts[#parts + 1] = row
  end
  return table.concat(parts)
end
"""

LOAD = (
    _HEAD
    + _PACK
    + """
local keys, rows, seen = ARGV[2], {}, {}
for i = 1, #keys, 8 do
  local key = string.sub(keys, i, i + 7)
  while key and not seen[key] do
    seen[key] = true
    local row = redis.call('GET', contacts .. key)
    if not row then break end
    rows[#rows + 1] = key .. row
    key = string.sub(row, 9, 9) == 'L' and string.sub(row, 10) or nil
  end
end
return packed(rows)
"""
)

# An expired contact leaves entries behind, which are removed when they are due.
DUE = (
    _HEAD
    + _PACK
    + """
local rows, marks = {}, false
for _, key in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])) do
  local row = redis.call('GET', contacts .. key)
  if row and string.sub(row, 9, 9) == 'S' then
    rows[#rows + 1] = key .. row
  else
    marks = marks or redis.call('SMEMBERS', base .. 'marks')
    redis.call('ZREM', due, key)
    for _, name in ipairs(marks) do redis.call('ZREM', base .. 'm:' .. name, key) end
  end
end
return packed(rows)
"""
)

# Each argument is a row of records, packed by `redis_codec`. A commit that took effect and is sent again after a
# lost answer reports success and does nothing.
# A script that stops at an error keeps its first writes. So the keys' types are checked before the first write, and a
# cell that is not a number starts anew.
COMMIT = (
    _HEAD
    + """
local token, writer, checks, states, links, removed, marks, adds, latest = unpack(ARGV, 2, 10)
local documents, firsts, reads, dropped, wrong = unpack(ARGV, 11)
wrong = tonumber(wrong) or math.huge
local call, sub, unpacked = redis.call, string.sub, struct.unpack
local memory = base .. 'w:' .. writer
local cells, kept = base .. 'cells', base .. 'kept'
local function is_foreign(name, kind)
  local found = call('TYPE', name).ok
  return found ~= kind and found ~= 'none'
end
if is_foreign(due, 'zset') or is_foreign(base .. 'marks', 'set') or is_foreign(cells, 'hash')
  or is_foreign(kept, 'hash') then return redis.error_reply('WRONGTYPE other data') end
if call('GET', memory) == token then return 'OK' end
local absent = string.rep('\\0', 8)
for i = 1, #checks, 16 do
  local version = call('GETRANGE', contacts .. sub(checks, i, i + 7), 0, 7)
  version = version .. sub(absent, #version + 1)
  if version ~= sub(checks, i + 8, i + 15) then return 'CONFLICT' end
end
local at = 1
while at <= #reads do
  local name, digest
  name, at = unpacked('<I4c0', reads, at)
  digest, at = unpacked('<I4c0', reads, at)
  local document = call('HGET', kept, name)
  if (document and redis.sha1hex(document) or '') ~= digest then return 'CONFLICT' end
end
at = 1
while at <= #marks do
  local size
  size, at = unpacked('<I4', marks, at + 17)
  if is_foreign(base .. 'm:' .. sub(marks, at, at + size - 1), 'zset') then
    return redis.error_reply('WRONGTYPE other data')
  end
  at = at + size
end
call('SET', KEYS[1], '1')
call('SET', memory, token, 'EX', 86400)
at = 1
while at <= #links do
  local key, target, seconds
  key, target, seconds, at = unpacked('<c8c8I4', links, at)
  call('SET', contacts .. key, token .. 'L' .. target, 'EX', seconds)
  call('ZREM', due, key)
end
at = 1
while at <= #states do
  local key, time, seconds, aliases, size
  key, time, seconds, aliases, size, at = unpacked('<c8dI4I4I4', states, at)
  for i = at, at + aliases - 1, 8 do call('EXPIRE', contacts .. sub(states, i, i + 7), seconds) end
  at = at + aliases
  call('SET', contacts .. key, token .. 'S' .. sub(states, at, at + size - 1), 'EX', seconds)
  call('ZADD', due, time, key)
  at = at + size
end
for i = 1, #removed, 8 do
  local key = sub(removed, i, i + 7)
  call('DEL', contacts .. key)
  call('ZREM', due, key)
end
at = 1
while at <= #marks do
  local put, key, time, size
  put, key, time, size, at = unpacked('<Bc8dI4', marks, at)
  local name = sub(marks, at, at + size - 1)
  if put == 1 then
    call('SADD', base .. 'marks', name)
    call('ZADD', base .. 'm:' .. name, time, key)
  else
    call('ZREM', base .. 'm:' .. name, key)
  end
  at = at + size
end
at = 1
while at <= #adds do
  local amount, size
  amount, size, at = unpacked('<dI4', adds, at)
  local name = sub(adds, at, at + size - 1)
  local sum = redis.pcall('HINCRBYFLOAT', cells, name, amount)
  if type(sum) == 'table' or math.abs(tonumber(sum)) == math.huge then call('HSET', cells, name, amount) end
  at = at + size
end
at = 1
while at <= #latest do
  local value, size
  value, size, at = unpacked('<dI4', latest, at)
  local name = sub(latest, at, at + size - 1)
  local old = tonumber(call('HGET', cells, name) or '')
  if not (old and old >= value and old <= wrong and old < math.huge) then call('HSET', cells, name, value) end
  at = at + size
end
at = 1
while at <= #dropped do
  local name
  name, at = unpacked('<I4c0', dropped, at)
  call('HDEL', cells, name)
end
for command, texts in pairs({HSET = documents, HSETNX = firsts}) do
  at = 1
  while at <= #texts do
    local name, value
    name, at = unpacked('<I4c0', texts, at)
    value, at = unpacked('<I4c0', texts, at)
    call(command, kept, name, value)
  end
end
return 'OK'
"""
)

# The answer comes in pieces of 2,000 cells, because the reader holds the interpreter lock while it splits one.
CELLS = (
    _HEAD
    + """
local flat, pieces = redis.call('HGETALL', base .. 'cells'), {}
for first = 1, #flat, 4000 do
  local names, values = {}, {}
  for i = first, math.min(first + 3999, #flat), 2 do
    names[#names + 1] = flat[i]
    values[#values + 1] = flat[i + 1]
  end
  pieces[#pieces + 1] = struct.pack('>BI4', 0xdd, #names) .. table.concat(names)
  pieces[#pieces + 1] = table.concat(values, ' ')
end
return pieces
"""
)

EARLIEST = (
    _HEAD
    + """
local found = {}
for _, name in ipairs(redis.call('SMEMBERS', base .. 'marks')) do
  local first = redis.call('ZRANGE', base .. 'm:' .. name, 0, 0, 'WITHSCORES')
  if first[1] then
    found[#found + 1] = name
    found[#found + 1] = first[2]
  end
end
return found
"""
)

# A page of contacts with their rows and times, and the place of the next page. A contact that is there during the whole
# scan is found, even if its due time moves meanwhile. It may be found twice.
PAGE = (
    _HEAD
    + _PACK
    + """
local rows, times = {}, {}
local scanned = redis.call('ZSCAN', due, ARGV[2], 'COUNT', ARGV[3])
local flat = scanned[2]
for i = 1, #flat, 2 do
  local row = redis.call('GET', contacts .. flat[i])
  if row and string.sub(row, 9, 9) == 'S' then
    rows[#rows + 1] = flat[i] .. row
    times[#times + 1] = flat[i + 1]
  end
end
return {packed(rows), table.concat(times, ' '), scanned[1]}
"""
)

MARKS = (
    _HEAD
    + """
local found = {}
for _, name in ipairs(redis.call('SMEMBERS', base .. 'marks')) do
  local flat = redis.call('ZRANGE', base .. 'm:' .. name, 0, -1, 'WITHSCORES')
  for i = 1, #flat, 2 do
    found[#found + 1] = name
    found[#found + 1] = flat[i]
    found[#found + 1] = flat[i + 1]
  end
end
return found
"""
)

DOCUMENTS = _HEAD + "return redis.call('HGETALL', base .. 'kept')"

# The size of the hashes and the longest sets, with one contact's size for all contacts.
SIZE = (
    _HEAD
    + """
local size = 0
for _, name in ipairs({'cells', 'kept', 'due'}) do
  size = size + (redis.call('MEMORY', 'USAGE', base .. name) or 0)
end
local first = redis.call('ZRANGE', due, 0, 0)
if first[1] then
  size = size + redis.call('ZCARD', due) * (redis.call('MEMORY', 'USAGE', contacts .. first[1]) or 0)
end
return size
"""
)

DOCUMENT = _HEAD + "return redis.call('HGET', base .. 'kept', ARGV[2])"

KEEP_FIRST = (
    _HEAD
    + """
redis.call('HSETNX', base .. 'kept', ARGV[2], ARGV[3])
redis.call('SET', KEYS[1], '1')
return redis.call('HGET', base .. 'kept', ARGV[2])
"""
)

# The server's clock decides when a lease ends. A lease that was given in the caller's future is ignored, like in
# the other stores, because the clock of a host was ahead and has been set back. Records: end and start by the server,
# the start by the holder, the holder. Older versions wrote the end by the holder and the holder.
LEASE = (
    _HEAD
    + """
local leases, name, holder = base .. 'leases', ARGV[2], ARGV[3]
local now, seconds, tolerance = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local time = redis.call('TIME')
local here = time[1] + time[2] / 1000000
local held = redis.call('HGET', leases, name)
if held then
  local ends, given, theirs, held_by = string.match(held, '^=(%S+) (%S+) (%S+) (.*)$')
  if not ends then
    ends, held_by = string.match(held, '^(%S+) (.*)$')
    given, theirs = 0, 0
  end
  ends, given, theirs = tonumber(ends or ''), tonumber(given), tonumber(theirs)
  if ends and given and theirs and held_by ~= holder
    and here < ends and here >= given - tolerance and now >= theirs - tolerance then return 0 end
end
redis.call('HSET', leases, name, string.format('=%.6f %.6f %.6f %s', here + seconds, here, now, holder))
return 1
"""
)
