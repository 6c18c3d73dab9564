-- identity.lua: says which server holds a lane. A restart gives a new run id, a promotion a new replication id.
-- KEYS 1 any key of the lane
-- Reply {run id, replication id}
return {
  string.match(redis.call('INFO', 'server'), 'run_id:(%w+)'),
  string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)'),
}
