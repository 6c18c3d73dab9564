/**
 * A node of a cluster whose PostgreSQL stops, freezes and comes back.
 */
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import WebSocket from 'ws'
import { type ScriptedModel, startScriptedModel } from '../../scripts/demo/scripted-model.js'
import { type RunningPostgres, startPostgres } from '../../scripts/servers/servers.js'
import { type Client, type ConnectOptions, connect } from '../../src/client/client.js'
import { RawClient, type RunningDaemon, settingsFolder, startWith } from '../support/settings-fixture.js'

const PATIENCE = { timeout: 30_000, interval: 50 } as const
const webSocket = WebSocket as unknown as NonNullable<ConnectOptions['webSocket']>

const folder = settingsFolder()
let postgres: RunningPostgres
let model: ScriptedModel
let node: RunningDaemon
let client: Client

beforeAll(async () => {
  ;[postgres, model] = await Promise.all([startPostgres({ own: true }), startScriptedModel()])
  node = await startWith(folder.path, {
    REDIS_URL: process.env.TEST_REDIS_URL ?? '',
    DATABASE_URL: postgres.url,
    CLUSTER_NAME: `outage-${randomBytes(4).toString('hex')}`,
    SHARD_COUNT: '4',
    OPENAI_API_KEY: 'any',
    OPENAI_BASE_URL: model.openaiUrl,
  })
  await vi.waitFor(() => expect(node.lines.join('')).toContain('shards claimed'), PATIENCE)
})

afterAll(async () => {
  await node?.stop()
  await postgres?.stop()
  await model?.stop()
  folder.remove()
})

beforeEach(async () => {
  client = await connect({ url: `ws://127.0.0.1:${node.daemon.port}`, webSocket })
  onTestFinished(() => client.close())
})

/** Nobody answers until the returned function is called. */
async function stop(): Promise<() => Promise<void>> {
  await postgres.kill('SIGQUIT')
  return () => postgres.restart()
}

/** Connections stand, and nothing moves on them. */
async function freeze(): Promise<() => Promise<void>> {
  const frozen = [postgres.pid ?? 0, ...childrenOf(postgres.pid ?? 0)]
  for (const pid of frozen) process.kill(pid, 'SIGSTOP')
  return async () => {
    for (const pid of frozen) process.kill(pid, 'SIGCONT')
  }
}

function childrenOf(pid: number): number[] {
  const tasks = readdirSync(`/proc/${pid}/task`)
  return tasks.flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  )
}

const WAYS = [
  ['stops', stop],
  ['freezes', freeze],
] as const

/** Ids of a session's events in PostgreSQL, in order. */
async function projected(sessionId: string): Promise<number[]> {
  const reader = new pg.Client({ connectionString: postgres.url })
  await reader.connect()
  try {
    const text = 'select seq::int as seq from events where session_id = $1 order by seq'
    return (await reader.query<{ seq: number }>(text, [sessionId])).rows.map(({ seq }) => seq)
  } finally {
    await reader.end()
  }
}

test.each(WAYS)('while PostgreSQL %s sessions take commands and run; then it has everything', async (_way, take) => {
  const session = await client.spawn({ task: 'first', sessionType: 'echo' })
  await session.result()
  const giveBack = await take()

  const ends = []
  for (let n = 0; n < 20; n++) ends.push(await session.execute(`task ${n}`))
  await sleep(1_000)
  ends.push(await session.execute('the last'))
  await giveBack()

  expect(ends.map(({ type }) => type)).toEqual(ends.map(() => 'task_completed'))
  const last = Number(ends.at(-1)?.eventId.split('-')[1])
  const all = Array.from({ length: last }, (_, index) => index + 1)
  await vi.waitFor(async () => expect(await projected(session.id)).toEqual(all), PATIENCE)
})

test.each(WAYS)(
  'while PostgreSQL %s a spawn waits, and what its client sends after it does not',
  async (_way, take) => {
    const raw = await RawClient.connect(`ws://127.0.0.1:${node.daemon.port}`)
    onTestFinished(() => raw.close())
    const giveBack = await take()
    const payload = { orchestratorId: 'o', sessionType: 'echo', task: 'late' }

    raw.send({ type: 'spawn_session', payload, id: 'spawn' })
    raw.send({ type: 'ping', id: 'ping' })
    await raw.frame('pong')
    await sleep(1_500)
    const during = raw.frames.map(({ type }) => type)
    await giveBack()

    await vi.waitFor(() => expect(raw.frames.map(({ type }) => type)).toContain('task_completed'), PATIENCE)
    expect(during).not.toContain('session_spawned')
    expect(during).not.toContain('error')
    expect(raw.frames.filter(({ type }) => type === 'session_spawned')).toHaveLength(1)
  },
)

test('a call that must not run twice waits for PostgreSQL, and its session goes on then', async () => {
  const session = await client.spawn({ task: 'Count to 2', sessionType: 'llm' })
  await session.result()
  const giveBack = await stop()
  const heard: string[] = []
  void (async () => {
    for await (const { type } of session) heard.push(type)
  })()

  const report = session.execute('Write a report on "export"')
  await vi.waitFor(() => expect(heard.filter((type) => type === 'tool_call_start')).toHaveLength(2), PATIENCE)
  const results = () => heard.filter((type) => type === 'tool_call_result').length
  await vi.waitFor(() => expect(results()).toBe(1), PATIENCE)
  // Long enough for the other one, if it waited for nothing.
  await sleep(500)
  const during = results()
  await giveBack()

  expect(during).toBe(1)
  expect((await report).type).toBe('task_completed')
})

test('cancelling ends a call that waits for PostgreSQL', async () => {
  const session = await client.spawn({ task: 'Count to 2', sessionType: 'llm' })
  await session.result()
  const giveBack = await stop()
  onTestFinished(giveBack)
  let calls = 0
  void (async () => {
    for await (const { type } of session) if (type === 'tool_call_start') calls++
  })()
  const report = session.execute('Write a report on "export"')
  await vi.waitFor(() => expect(calls).toBe(2), PATIENCE)

  await session.cancel()

  expect((await report).type).toBe('task_cancelled')
})

test('the coordinator leads on after an outage, and the node is ready during it', async () => {
  const metrics = `http://127.0.0.1:${node.daemon.metricsPort}/ready`
  const giveBack = await stop()
  await sleep(2_000)
  const during = (await fetch(metrics)).status
  await giveBack()

  const holds = async () => {
    const reader = new pg.Client({ connectionString: postgres.url })
    await reader.connect()
    const text = 'select expires_at > now() as holds from leader'
    const { rows } = await reader.query<{ holds: boolean }>(text).finally(() => reader.end())
    return rows[0]?.holds
  }
  await vi.waitFor(async () => expect(await holds()).toBe(true), PATIENCE)
  expect(during).toBe(200)
})
