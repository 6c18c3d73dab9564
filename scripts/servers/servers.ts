/**
 * Private Redis and PostgreSQL servers for the demo and the tests: found, started on free ports in a temporary folder,
 * and gone when their starter is gone, even by kill -9.
 */
export { type PostgresOptions, type RunningPostgres, startPostgres } from './postgres-server.js'
export { type RunningRedisCluster, startRedisCluster } from './redis-cluster.js'
export { type RedisOptions, type RunningRedis, startRedis } from './redis-server.js'
