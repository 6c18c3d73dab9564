-- lease.lua: takes a lease, prolongs it, or gives it back; only its holder does the latter two.
-- KEYS 1 the lease, whose value is its holder   ARGV 1 holder   2 for how long, in ms; 0 gives it back
-- Reply {"held"} | {"free"} given back | {"taken"} somebody else has it
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return { 'taken' } end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
  return { 'free' }
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return { 'held' }
