/**
 * Tasks that run later, or that others do, stand in the trace of the command that asked for them: the place in it is kept
 * with the row, and whoever moves the row on goes on from there.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { type Client, connect, type SessionHandle } from '../../src/client/client.js'
import type { ServerMessage } from '../../src/protocol/events.js'
import { type RunningDaemon, settingsFolder, startWith } from '../support/settings-fixture.js'
import { type CollectedSpan, startTraceCollector, strays, type TraceCollector } from '../support/trace-collector.js'

const SPAN = 'b7ad6b7169203331'
/** As OTLP numbers it. */
const CONSUMER = 5
const PATIENCE = { timeout: 20_000, interval: 20 }
const ALONE = { SHARD_COUNT: '4', SCHEDULE_MIN_INTERVAL: '1000', DAEMON_RATE_LIMIT_ENABLED: 'false' }

const folder = settingsFolder()
let collector: TraceCollector
let running: RunningDaemon

beforeAll(async () => {
  process.env.OTEL_BSP_SCHEDULE_DELAY = '50'
  collector = await startTraceCollector()
  running = await startWith(folder.path, { ...ALONE, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
})
afterAll(async () => {
  await running?.stop()
  collector?.stop()
  folder.remove()
  delete process.env.OTEL_BSP_SCHEDULE_DELAY
})

/** A client whose messages belong to a trace of its own. */
async function tracedClient(daemon = running.daemon): Promise<{ readonly trace: string; readonly client: Client }> {
  const trace = randomBytes(16).toString('hex')
  const url = `ws://127.0.0.1:${daemon.port}`
  const client = await connect({ url, traceparent: () => `00-${trace}-${SPAN}-01` })
  onTestFinished(() => client.close())
  return { trace, client }
}

const within = (trace: string) => (span: CollectedSpan) => span.traceId === trace
const under = (parent: CollectedSpan) => (span: CollectedSpan) => span.parentSpanId === parent.spanId
async function endOf(session: SessionHandle, taskId: string): Promise<ServerMessage | undefined> {
  for await (const message of session)
    if (message.type === 'task_completed' && message.taskId === taskId) return message
  return undefined
}

const idle = (client: Client) => client.spawn({ sessionType: 'echo', task: 'first' })

test('a delayed task of a session runs under the command that scheduled it', async () => {
  const { trace, client } = await tracedClient()
  const session = await idle(client)
  await session.result()
  await session.execute({ id: 'later', description: 'later', delayMs: 200 })

  const asked = await collector.span('execute_task', within(trace))
  const run = await collector.span('run scheduled', under(asked))
  await Promise.all(['submit', 'accept', 'invoke_agent echo'].map((name) => collector.span(name, under(run))))
  expect(asked.parentSpanId).toBe(SPAN)
  expect(run).toMatchObject({ traceId: trace, kind: CONSUMER, links: [], hasFailed: false })
  expect(run.attributes).toMatchObject({
    'messaging.operation.type': 'process',
    'orchestrator.task.id': 'later',
    'gen_ai.conversation.id': session.id,
  })
  expect(run.startMs).toBeGreaterThanOrEqual(asked.startMs + 190)
  await vi.waitFor(() => expect(strays(collector.spans, trace, SPAN)).toEqual([]), PATIENCE)
})

test('a task that waited for another one runs under its own command, not under that of the other', async () => {
  const [first, second] = [await tracedClient(), await tracedClient()]
  const slow = await first.client.spawn({
    sessionType: 'echo',
    task: { id: 'slow', description: 'x', metadata: { echo: { count: 10, bytes: 4, delayMs: 20 } } },
  })
  await second.client.schedule({
    orchestratorId: 'default',
    sessionType: 'echo',
    task: { description: 'after', dependsOn: [{ taskId: 'slow', sessionId: slow.id }] },
  })

  const run = await collector.span('run scheduled', within(second.trace))
  const spawned = await collector.span('spawn_session', under(run))
  await collector.span('invoke_agent echo', under(spawned))
  expect(collector.spans.filter(within(first.trace)).map(({ name }) => name)).not.toContain('run scheduled')
})

test('each run of a repeated task begins a trace, with a link to the command that asked for all of them', async () => {
  const { trace, client } = await tracedClient()
  await client.schedule({
    orchestratorId: 'default',
    sessionType: 'echo',
    task: { description: 'again', repeat: { cron: '* * * * * *', timezone: 'UTC', maxRuns: 2 } },
  })

  const asked = await collector.span('spawn_session', within(trace))
  const isRun = ({ name, links }: CollectedSpan) => name === 'run scheduled' && links.includes(asked.spanId)
  const runs = await vi.waitFor(() => {
    const found = collector.spans.filter(isRun)
    expect(found).toHaveLength(2)
    return found
  }, PATIENCE)
  expect(new Set([trace, ...runs.map(({ traceId }) => traceId)]).size).toBe(3)
  expect(runs.map(({ linkedTraces, parentSpanId }) => [linkedTraces, parentSpanId])).toEqual([
    [[trace], ''],
    [[trace], ''],
  ])
  for (const { traceId } of runs) await collector.span('invoke_agent echo', within(traceId))
})

test('a delegated task is done under the command that delegated it', async () => {
  const { trace, client } = await tracedClient()
  const result = await client.delegate({ id: 'work', description: 'work' }, { sessionType: 'echo' })
  expect(result).toMatchObject({ status: 'completed' })

  const asked = await collector.span('route_task', within(trace))
  const attempt = await collector.span('delegate', under(asked))
  // In a session that its owner has there already, or in a new one.
  const given = await collector.span(/^(spawn_session|execute_task)$/, under(attempt))
  const turn = await collector.span('invoke_agent echo', under(given))
  expect(attempt).toMatchObject({ kind: CONSUMER, hasFailed: false })
  expect(attempt.attributes).toMatchObject({ 'orchestrator.delegation.attempt': 1 })
  expect(attempt.endMs).toBeGreaterThanOrEqual(turn.startMs)
  await vi.waitFor(() => expect(strays(collector.spans, trace, SPAN)).toEqual([]), PATIENCE)
})

test('who would get a task is a question, which is not traced', async () => {
  const { trace, client } = await tracedClient()
  await client.route('who?')
  await (await idle(client)).result()

  await collector.span('invoke_agent echo', within(trace))
  expect(collector.spans.filter(within(trace)).map(({ name }) => name)).not.toContain('route_task')
})

test('where nothing is traced, the client’s own place comes back on what ran later', async () => {
  const plain = await startWith(`${folder.path}/plain`, ALONE)
  onTestFinished(() => plain.stop())
  const { trace, client } = await tracedClient(plain.daemon)
  const session = await idle(client)
  await session.result()

  const end = await session.execute({ id: 'later', description: 'later', delayMs: 100 })
  const repeat = { cron: '* * * * * *', timezone: 'UTC', maxRuns: 1 }
  await client.schedule({ sessionId: session.id, task: { id: 'again', description: 'again', repeat } })
  const repeated = await endOf(session, 'again.1')

  expect(end).toMatchObject({ traceparent: `00-${trace}-${SPAN}-01` })
  expect(repeated).not.toHaveProperty('traceparent')
})
