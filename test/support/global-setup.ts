/**
 * Starts what the tests of a run share, once: a Redis, a PostgreSQL, a Redis Cluster, and a build of `dist`. Tests find
 * them in the environment and keep apart by cluster name and by database.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import {
  type RunningRedisCluster,
  startPostgres,
  startRedis,
  startRedisCluster,
} from '../../scripts/servers/servers.js'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** A compiler that takes longer is stuck. */
const BUILD_TIMEOUT_MS = 300_000

interface Shared {
  users: number
  readonly ready: Promise<() => Promise<void>>
}

// Every Vitest project runs this setup in its own module graph of the same process; the servers are for all of them.
const SHARED = Symbol.for('orchestrator.test-servers')
const holder = globalThis as { [SHARED]?: Shared }

/** Vitest calls this before the first test of a project, and what it returns after the last one. */
export default async function setup(): Promise<() => Promise<void>> {
  holder[SHARED] ??= { users: 0, ready: startAll() }
  const shared = holder[SHARED]
  shared.users += 1
  const stopAll = await shared.ready
  return async () => {
    shared.users -= 1
    if (shared.users > 0) return
    delete holder[SHARED]
    await stopAll()
  }
}

async function startAll(): Promise<() => Promise<void>> {
  const [redis, postgres, cluster, build] = await Promise.all([
    startRedis(),
    startPostgres(),
    startClusterUnlessGiven(),
    buildProgram(),
  ])
  const before = { ...process.env }
  process.env.TEST_REDIS_URL = redis.url
  process.env.TEST_DATABASE_URL = postgres.url
  process.env.TEST_BUILD_ERROR = build
  if (cluster) process.env.TEST_REDIS_CLUSTER_URLS = cluster.urls.join(',')
  return async () => {
    await Promise.all([redis.stop(), postgres.stop(), cluster?.stop()])
    // In watch mode the setup runs again and must not take our stopped servers for given ones.
    for (const name of ['TEST_REDIS_URL', 'TEST_DATABASE_URL', 'TEST_REDIS_CLUSTER_URLS', 'TEST_BUILD_ERROR']) {
      if (before[name] === undefined) delete process.env[name]
      else process.env[name] = before[name]
    }
  }
}

/** Undefined when the cluster is given too, or when one Redis is given and this machine has none to build a cluster of. */
async function startClusterUnlessGiven(): Promise<RunningRedisCluster | undefined> {
  if (process.env.TEST_REDIS_CLUSTER_URLS) return undefined
  const redisGiven = Boolean(process.env.TEST_REDIS_URL)
  try {
    return await startRedisCluster()
  } catch (error) {
    if (!redisGiven) throw error
    process.stderr.write(`No tests on Redis Cluster: TEST_REDIS_CLUSTER_URLS is not set. ${String(error)}\n`)
    return undefined
  }
}

/** Builds `dist`. A failure is kept for those tests that start processes; the others can run without it. */
async function buildProgram(): Promise<string> {
  try {
    await run('npm', ['run', '--silent', 'build'], { cwd: ROOT, timeout: BUILD_TIMEOUT_MS })
    return ''
  } catch (error) {
    const output = (error as { stdout?: string }).stdout || String(error)
    process.stderr.write('The build failed: tests that start processes of the service will fail too.\n')
    return output
  }
}
