/**
 * Repeated and delayed tasks while processes of a cluster are killed with -9, one after the other: an edge that hands them
 * over, the worker that runs them, and the coordinator. Each occurrence runs exactly once, and no task is lost.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { connect } from '../../src/client/client.js'
import { ClusterProcess } from '../support/cluster-process.js'
import { createServerDatabase } from '../support/databases.js'
import { seededRandom } from '../support/random.js'

const PATIENCE = { timeout: 120_000, interval: 100 }
const OCCURRENCES = 12
const DELAYED = 40
const ROLES = ['edge', 'worker', 'coordinator'] as const

let stores: Awaited<ReturnType<typeof createServerDatabase>>
let folder: string
let pool: pg.Pool
let settings: Record<string, string>
const running: { readonly role: string; readonly node: ClusterProcess }[] = []

beforeAll(async () => {
  stores = await createServerDatabase()
  folder = await mkdtemp(join(tmpdir(), 'scheduling-'))
  pool = new pg.Pool({ connectionString: stores.url, max: 1 })
  settings = {
    REDIS_URL: process.env.TEST_REDIS_URL ?? '',
    DATABASE_URL: stores.url,
    CLUSTER_NAME: `scheduling_${randomBytes(4).toString('hex')}`,
    METRICS_ENABLED: 'false',
    SHARD_COUNT: '8',
    SCHEDULE_MIN_INTERVAL: '1000',
    DAEMON_RATE_LIMIT_ENABLED: 'false',
  }
})

afterAll(async () => {
  await Promise.all(running.map(({ node }) => node.stop()))
  await pool.end()
  await stores.remove()
  await rm(folder, { recursive: true, force: true })
})

async function start(role: string): Promise<void> {
  const node = new ClusterProcess({
    args: ['start', '--port', '0'],
    cwd: folder,
    env: { ...settings, DAEMON_ROLE: role },
  })
  running.push({ role, node })
  await node.waitForLine(/"msg":"ready"/, PATIENCE.timeout)
}

/** Kills one of a role, and starts another in its place. */
async function replace(role: string): Promise<void> {
  const at = running.findIndex((it) => it.role === role)
  const [victim] = running.splice(at, 1)
  victim?.node.kill('SIGKILL')
  await victim?.node.ended
  await start(role)
}

/** How often each task began and ended, by its id. */
async function journal(): Promise<Record<string, string[]>> {
  const { rows } = await pool.query<{ task: string; type: string }>(
    `select body->>'taskId' as task, type from events where type in ('task_executing', 'task_completed', 'task_failed',
     'task_cancelled') order by epoch, seq`,
  )
  const found: Record<string, string[]> = {}
  for (const { task, type } of rows) found[task] = [...(found[task] ?? []), type]
  return found
}

test('whoever is killed, each occurrence and each delayed task runs exactly once', async () => {
  const random = seededRandom('scheduling under kills')
  await Promise.all([...ROLES, 'edge', 'worker'].map(start))
  const edge = running.find(({ role }) => role === 'edge')?.node
  const [, port] = (await edge?.waitForLine(/"port":(\d+)/)) ?? []
  const client = await connect({ url: `ws://127.0.0.1:${port}` })
  const session = await client.spawn({ sessionType: 'echo', task: { id: 'first', description: 'x' } })
  await session.result()
  const repeat = { cron: '* * * * * *', maxRuns: OCCURRENCES }
  await client.schedule({ sessionId: session.id, task: { id: 'tick', description: 'x', repeat } })
  await client.schedule({ sessionType: 'echo', task: { id: 'spawn', description: 'x', repeat } })
  for (let n = 0; n < DELAYED; n++) {
    await client.schedule({
      sessionId: session.id,
      task: { id: `task-${n}`, description: 'x', delayMs: random.integer(0, 12_000) },
    })
  }
  client.close()

  for (const role of ['edge', 'worker', 'edge', 'coordinator', 'worker']) {
    await new Promise((resolve) => setTimeout(resolve, random.integer(0, 1_500)))
    await replace(role)
  }

  const once = ['task_executing', 'task_completed']
  await vi.waitFor(async () => {
    const found = await journal()
    const waiting = await pool.query("select task_id from scheduled_tasks where status = 'waiting'")
    expect(waiting.rows).toEqual([])
    for (let n = 0; n < DELAYED; n++) expect(found[`task-${n}`], `task-${n}`).toEqual(once)
    const { rows } = await pool.query<{ task_id: string; runs: number; missed: number }>(
      'select task_id, runs, missed from scheduled_tasks where cron is not null',
    )
    for (const { task_id: id, runs } of rows) {
      expect(runs).toBe(OCCURRENCES)
      const ran = Object.keys(found).filter((task) => task.startsWith(`${id}.`))
      expect(ran, `${id}`).toHaveLength(OCCURRENCES)
      for (const task of ran) expect(found[task], `${task}`).toEqual(once)
    }
  }, PATIENCE)
})
