/**
 * One budget over two workers, on a real Redis and PostgreSQL.
 */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { countingVendor } from '../support/counting-vendor.js'
import { createServerDatabase } from '../support/databases.js'
import { type Frame, RawClient, type RunningDaemon, settingsFolder, startWith } from '../support/settings-fixture.js'

const CLUSTER = `test-${randomUUID()}`
const SESSIONS = 64
const SHARDS = 16
const CALL_TOKENS = 100
const BUDGET = 3_000
const PATIENCE = { timeout: 45_000, interval: 20 }

const folders = [settingsFolder(), settingsFolder()]
const nodes: RunningDaemon[] = []
const heard: Frame[] = []
const redisUrl = process.env.TEST_REDIS_URL ?? ''
let vendor: Awaited<ReturnType<typeof countingVendor>>
let database: Awaited<ReturnType<typeof createServerDatabase>>
let redis: Redis

beforeAll(async () => {
  vendor = await countingVendor(60, CALL_TOKENS - 60, 5)
  database = await createServerDatabase()
  redis = new Redis(redisUrl)
  const operator = createServer(async (request, response) => {
    let body = ''
    for await (const piece of request) body += piece
    heard.push((JSON.parse(body) as { data: Frame }).data)
    response.writeHead(204).end()
  }).listen(0, '127.0.0.1')
  await once(operator, 'listening')
  for (const [i, folder] of folders.entries()) {
    nodes.push(
      await startWith(folder.path, {
        ...{ REDIS_URL: redisUrl, DATABASE_URL: database.url, CLUSTER_NAME: CLUSTER, DAEMON_NAME: `node-${i}` },
        ...{ OPENAI_BASE_URL: vendor.url, SHARD_COUNT: String(SHARDS), REBALANCE_INTERVAL: '1000' },
        ...{ TOKEN_BUDGET_DAILY: String(BUDGET), TOKEN_BUDGET_TENANT_DAILY: '1000000' },
        TOKEN_BUDGET_WEBHOOK_URL: `http://127.0.0.1:${(operator.address() as AddressInfo).port}/`,
      }),
    )
  }
  return () => void operator.close()
})

afterAll(async () => {
  for (const node of nodes) await node.stop()
  for (const folder of folders) folder.remove()
  redis.disconnect()
  vendor.stop()
  await database.remove()
})

async function client(): Promise<RawClient> {
  const opened = await RawClient.connect(`ws://127.0.0.1:${nodes[0]?.daemon.port}`)
  onTestFinished(() => opened.close())
  return opened
}

const spawn = (who: RawClient) =>
  who.send({ type: 'spawn_session', payload: { orchestratorId: 'shared', task: 'say a word', sessionType: 'llm' } })
const framesOf = (who: RawClient, type: string) => who.frames.filter((frame) => frame.type === type)

test('64 sessions on two workers use exactly the budget that they share, and each threshold is told once', async () => {
  // Alerts are told to sessions that are there: none may be on its way to the other worker.
  await vi.waitFor(async () => {
    const shards = await owners()
    const [first] = shards
    expect(shards).toHaveLength(SHARDS)
    expect(Math.abs(shards.filter((owner) => owner === first).length - SHARDS / 2)).toBeLessThan(2)
  }, PATIENCE)
  const asker = await client()

  for (let i = 0; i < SESSIONS; i++) spawn(asker)

  const ended = () => [...framesOf(asker, 'task_completed'), ...framesOf(asker, 'task_failed')]
  await vi.waitUntil(() => ended().length === SESSIONS, PATIENCE)
  expect(framesOf(asker, 'task_completed')).toHaveLength(BUDGET / CALL_TOKENS)
  expect(framesOf(asker, 'task_failed').every(({ code }) => code === 'budget_exceeded')).toBe(true)
  expect(vendor.calls).toBe(BUDGET / CALL_TOKENS)
  await vi.waitFor(() => {
    const told = heard.filter(({ scope }) => scope === 'orchestrator').map(({ threshold }) => threshold)
    expect(told).toHaveLength(5)
    expect(new Set(told)).toEqual(new Set([50, 75, 80, 90, 100]))
  }, PATIENCE)
  await vi.waitFor(() => {
    const last = framesOf(asker, 'budget_alert').filter(({ data }) => (data as Frame).alert === 'budget:exceeded')
    const told = last.map(({ sessionId }) => sessionId)
    expect(told).toEqual([...new Set(told)])
    // One that came after the alert has its own refusal.
    const completed = framesOf(asker, 'task_completed').map(({ sessionId }) => sessionId)
    expect(told).toEqual(expect.arrayContaining(completed))
  }, PATIENCE)
})

test('counts that Redis has lost come back from the ledger before the next call', async () => {
  const asker = await client()
  const calls = vendor.calls
  await vi.waitFor(async () => {
    const lost = await redis.keys(`${CLUSTER}:budget:*`)
    if (lost.length > 0) await redis.unlink(...lost)
    spawn(asker)
    expect(framesOf(asker, 'task_failed').length).toBeGreaterThan(3)
  }, PATIENCE)

  expect(framesOf(asker, 'task_completed')).toEqual([])
  expect(vendor.calls).toBe(calls)
})

test('after an override the same session goes on', async () => {
  const asker = await client()
  spawn(asker)
  const failed = await asker.frame('task_failed')
  const desk = nodes[1]?.daemon.budgets
  const override = {
    scopeId: 'shared',
    period: 'daily',
    tokens: 2 * BUDGET,
    reason: 'a test',
    createdBy: 'ada',
  } as const
  await desk?.setOverride('local', override)

  asker.send({ type: 'execute_task', payload: { sessionId: failed.sessionId, task: 'go on' } })

  expect(await asker.frame('task_completed')).toMatchObject({ sessionId: failed.sessionId })
})

async function owners(): Promise<string[]> {
  const keys = (await redis.keys(`${CLUSTER}:*:sh:*`)).filter((key) => /:sh:\d+$/.test(key))
  const found = await Promise.all(keys.map((key) => redis.hget(key, 'owner')))
  return found.flatMap((owner) => (owner === null ? [] : [owner]))
}
