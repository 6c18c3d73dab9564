/**
 * Several nodes and a Neolith: one of them speaks for all, and another one goes on when it stops.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { createServerDatabase } from '../support/databases.js'
import { API_KEY, API_SECRET, FakeNeolith, USER } from '../support/fake-neolith.js'
import { readMetrics, valueIn } from '../support/metrics-page.js'
import { answered, expectOnce, kindOf, longTask, neolithSettings, wordsOf } from '../support/neolith-task.js'
import { PATIENCE, type RunningDaemon, settingsFolder, startWith } from '../support/settings-fixture.js'

const folder = settingsFolder()
const cluster = `neolith-${randomBytes(4).toString('hex')}`
const SLOW_TEST = 90_000
const REPORTING = 'orchestrator_neolith_reporting'
const nodes: RunningDaemon[] = []
let database: Awaited<ReturnType<typeof createServerDatabase>>
let neolith: FakeNeolith

async function start(role: string, name: string): Promise<void> {
  const node = await startWith(folder.path, {
    ...neolithSettings(neolith, API_KEY, API_SECRET),
    ...{ REDIS_URL: process.env.TEST_REDIS_URL ?? '', DATABASE_URL: database.url, CLUSTER_NAME: cluster },
    ...{ DAEMON_ROLE: role, DAEMON_NAME: name, SHARD_COUNT: '4', DAEMON_HEARTBEAT_INTERVAL: '1000' },
    ...{ DAEMON_JWT_SECRET: 'a-secret-of-at-least-thirty-two-characters', LOG_LEVEL: 'warn' },
  })
  nodes.push(node)
}

beforeAll(async () => {
  database = await createServerDatabase()
  neolith = await FakeNeolith.start()
  await start('coordinator', 'coordinator-1')
  await start('worker', 'worker-1')
  for (const name of ['edge-1', 'edge-2', 'edge-3']) await start('edge', name)
})
afterAll(async () => {
  for (const node of nodes.reverse()) await node.stop()
  await neolith?.stop()
  await database?.remove()
  folder.remove()
})

const edges = (): readonly RunningDaemon[] => nodes.filter(({ config }) => config.server.role === 'edge')

async function reporting(): Promise<readonly RunningDaemon[]> {
  const figures = await Promise.all(
    edges().map(async (node) => valueIn(await readMetrics(node.daemon.metricsPort), REPORTING, REPORTING)),
  )
  return edges().filter((_, i) => figures[i] === 1)
}

test('of three edges one reports: one sign-in, and the heartbeats of one', async () => {
  await vi.waitFor(() => expect(neolith.heartbeats.length).toBeGreaterThan(1), PATIENCE)
  const before = neolith.heartbeats.length
  await sleep(4_000)

  const heard = neolith.heartbeats.length - before
  await vi.waitFor(() => expect(neolith.heartbeats.length - before).toBeGreaterThan(1), PATIENCE)

  expect(neolith.calls('POST /api/daemon/auth')).toHaveLength(1)
  expect(heard).toBeLessThan(7)
  expect(await reporting()).toHaveLength(1)
})

test(
  'when that one stops in the middle of an answer another one writes the rest, with the same tokens, and nothing twice',
  async () => {
    const { text, paragraph } = longTask(10, 1_500)
    const asked = neolith.say(text)
    await vi.waitFor(() => expect(neolith.answersTo(asked).map(kindOf)).toContain('progress'), PATIENCE)
    const [speaker] = await reporting()
    const before = neolith.answersTo(asked).length

    await speaker?.stop()
    nodes.splice(nodes.indexOf(speaker as RunningDaemon), 1)
    const answers = await answered(neolith, asked, SLOW_TEST)

    expect(answers.length).toBeGreaterThan(before)
    expectOnce(answers)
    expect(wordsOf(answers)).toBe(paragraph.repeat(10).replace(/\s+/g, ' '))
    expect(neolith.calls('POST /api/daemon/auth')).toHaveLength(1)
    expect(await reporting()).toHaveLength(1)
    await answered(neolith, neolith.say(`@${USER} and on`))
  },
  2 * SLOW_TEST,
)

test(
  'the status says so when no worker takes on sessions, and when one does again',
  async () => {
    const worker = nodes.find(({ config }) => config.server.role === 'worker')
    await worker?.stop()
    nodes.splice(nodes.indexOf(worker as RunningDaemon), 1)
    await vi.waitFor(() => expect(neolith.statuses.at(-1)).toBe('paused'), PATIENCE)
    expect(neolith.status).toBe('BUSY')

    await start('worker', 'worker-2')

    await vi.waitFor(() => expect(neolith.statuses.at(-1)).toBe('active'), PATIENCE)
    expect(neolith.statuses).not.toContain('error')
  },
  SLOW_TEST,
)
