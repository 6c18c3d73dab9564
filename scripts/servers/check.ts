// Starts a private Redis and PostgreSQL, installing them when they are missing, and stops them: whether tests can run here.
import { startPostgres, startRedis } from './servers.js'

const servers = await Promise.all([startRedis(), startPostgres()])
for (const { url, pid } of servers)
  console.info(`${new URL(url).protocol.slice(0, -1)} answers (process ${pid ?? 'elsewhere'})`)
await Promise.all(servers.map((server) => server.stop()))
