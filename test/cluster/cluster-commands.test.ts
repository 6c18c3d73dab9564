/**
 * What an operator does to a cluster of real processes from the command line: look, move, rebalance, drain.
 */
import { randomBytes } from 'node:crypto'
import { expect, onTestFinished, test, vi } from 'vitest'
import { ClusterProcess } from '../support/cluster-process.js'
import { createServerDatabase } from '../support/databases.js'

const SHARDS = 16
const WAIT = { timeout: 60_000, interval: 300 }

type Env = Record<string, string>

interface Status {
  readonly leader: { readonly node: string; readonly term: number } | null
  readonly shards: Record<'total' | 'assigned' | 'releasing' | 'released', number>
  readonly pins: number
  readonly nodes: readonly {
    readonly id: string
    readonly role: string
    readonly status: string
    readonly shards: number
  }[]
}

interface Ring {
  readonly workers: readonly {
    readonly id: string
    readonly shards: readonly number[]
    readonly floor: number
    readonly cap: number
  }[]
}

async function newCluster(): Promise<Env> {
  const { url, remove } = await createServerDatabase()
  onTestFinished(remove)
  return {
    DATABASE_URL: url,
    REDIS_URL: process.env.TEST_REDIS_URL ?? '',
    CLUSTER_NAME: `commands-${randomBytes(4).toString('hex')}`,
    SHARD_COUNT: String(SHARDS),
    DAEMON_PORT: '0',
    METRICS_PORT: '0',
  }
}

async function node(env: Env, role: string, name: string): Promise<ClusterProcess> {
  const started = new ClusterProcess({ args: ['start', '--role', role, '--name', name], env })
  onTestFinished(async () => void (await started.stop()))
  await started.waitForLine(/"msg":"ready"/, WAIT.timeout)
  return started
}

/** Runs a command to its end. */
async function command(env: Env, ...args: readonly string[]): Promise<{ code: number | string; text: string }> {
  const run = new ClusterProcess({ args: ['cluster', ...args], env })
  const code = await run.ended
  return { code, text: run.lines.join('\n') }
}

async function json<T>(env: Env, ...args: readonly string[]): Promise<T> {
  const { code, text } = await command(env, ...args, '--json')
  expect(code, text).toBe(0)
  return JSON.parse(text) as T
}

async function settled(env: Env, workers: number): Promise<Status> {
  return await vi.waitFor(async () => {
    const status = await json<Status>(env, 'status')
    expect(status.shards.assigned).toBe(SHARDS)
    const shares = status.nodes.filter(({ role }) => role === 'worker').map(({ shards }) => shards)
    expect(shares).toHaveLength(workers)
    expect(Math.min(...shares)).toBeGreaterThanOrEqual(Math.floor((0.9 * SHARDS) / workers))
    return status
  }, WAIT)
}

test('status and ring show the nodes, a shard moves to where it is wanted and stays, and a drained worker ends with 0', async () => {
  const env = await newCluster()
  const worker = await node(env, 'worker', 'one')
  await node(env, 'worker', 'two')
  await node(env, 'coordinator', 'leader')
  const status = await settled(env, 2)

  expect(status.leader?.node).toMatch(/^leader@/)
  expect(status.nodes.map(({ role, status: word }) => `${role} ${word}`).sort()).toEqual([
    'coordinator live',
    'worker live',
    'worker live',
  ])
  expect(status.pins).toBe(0)
  const ring = await json<Ring>(env, 'ring')
  expect(ring.workers.flatMap(({ shards }) => shards).sort((a, b) => a - b)).toEqual(
    Array.from({ length: SHARDS }, (_, shard) => shard),
  )

  const [from] = ring.workers.filter(({ id }) => id.startsWith('one@'))
  const shard = from?.shards[0] ?? -1
  const moved = await json<{ from: string; to: string; epoch: number; ms: number }>(env, 'move', String(shard), 'two')
  console.info(`a shard moved on request in ${moved.ms} ms`)
  expect(moved).toMatchObject({ shard, from: from?.id, to: expect.stringMatching(/^two@/) })
  const outcome = await json<{ outcome: string }>(env, 'rebalance')
  expect(outcome.outcome).toMatch(/nothing moves|shards move/)
  const after = await json<Ring>(env, 'ring')
  expect(after.workers.find(({ id }) => id === moved.to)?.shards).toContain(shard)
  for (const { shards, floor, cap } of after.workers) {
    expect(shards.length).toBeGreaterThanOrEqual(floor)
    expect(shards.length).toBeLessThanOrEqual(cap)
  }

  const drained = await json<{ status: string }>({ ...env, DAEMON_NAME: 'one' }, 'drain', '--self')
  expect(drained.status).toBe('left')
  expect(await worker.ended).toBe(0)
  const rest = await settled(env, 1)
  expect(rest.nodes.filter(({ role }) => role === 'worker').map(({ shards }) => shards)).toEqual([SHARDS])

  const audit = new ClusterProcess({ args: ['audit', 'list', '--json', '--action', 'cluster'], env })
  expect(await audit.ended).toBe(0)
  const noted = audit.lines.map((line) => JSON.parse(line) as { action: string; actor: string; subject: string })
  expect(noted.map(({ action, subject }) => [action, subject])).toEqual([
    ['cluster.drain', from?.id],
    ['cluster.rebalance', 'cluster'],
    ['cluster.move', `shard:${shard}`],
  ])
  expect(noted[0]?.actor).toMatch(/^\S+@\S+$/)
})

test('a dry run shows the plan and changes nothing', async () => {
  const env = await newCluster()
  await node(env, 'worker', 'one')
  const before = await json<Ring>(env, 'ring')

  const plan = await json<{ takeovers: readonly unknown[] }>(env, 'rebalance', '--dry-run')
  const { text } = await command(env, 'rebalance', '--dry-run')

  expect(before.workers.flatMap(({ shards }) => shards)).toEqual([])
  expect(plan.takeovers.length).toBe((await json<Status>(env, 'status')).shards.total)
  expect(text.length).toBeGreaterThan(0)
  expect(await json<Ring>(env, 'ring')).toEqual(before)
})

test('whoever asks for what is not there gets one sentence and exit code 1', async () => {
  const env = await newCluster()
  await node(env, 'worker', 'one')

  const noLeader = await command(env, 'move', '3', 'one')
  await node(env, 'coordinator', 'leader')
  await settled(env, 1)
  const failures = await Promise.all([
    command(env, 'drain', 'oen'),
    command(env, 'move', '3', 'leader'),
    command(env, 'move', '999', 'one'),
    command(env, 'move', 'session_003_01ARZ3NDEKTSV4RRFFQ69G5FAV', 'one'),
    command({ ...env, REDIS_URL: '' }, 'status'),
    command({ ...env, REDIS_URL: 'redis://127.0.0.1:1' }, 'status'),
    command(env, 'drain'),
    command(env, 'drain', 'one', '--self'),
  ])

  for (const { code, text } of [noLeader, ...failures]) {
    expect(code, text).toBe(1)
    expect(text.split('\n'), text).toHaveLength(1)
  }
  expect(noLeader.text).toContain('no coordinator leads')
  const [node_, worker, shard, session, missing, away, nobody, both] = failures.map(({ text }) => text)
  expect(node_).toContain('no node of the cluster is called oen')
  expect(worker).toContain('no worker of the cluster is called leader')
  expect(shard).toContain(`shards are 0 to ${SHARDS - 1}`)
  expect(session).toContain('neither the number of a shard nor the id of a session')
  expect(missing).toContain('REDIS_URL is missing')
  expect(away).toContain('Redis cannot be reached')
  expect(nobody).toContain('which node?')
  expect(both).toContain('but not both')
})
