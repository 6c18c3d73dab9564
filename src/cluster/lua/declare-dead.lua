-- declare-dead.lua: copies a death from Postgres, so that the node's next beat is answered with it. Repeating is allowed.
-- KEYS 1 node hash (status)   ARGV 1 expiry ms: after that a beat finds no hash, and its node asks Postgres
-- Reply {"ok"}
redis.call('HSET', KEYS[1], 'status', 'dead')
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return { 'ok' }
