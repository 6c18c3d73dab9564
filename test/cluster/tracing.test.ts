/**
 * A trace goes through a cluster of processes, and on past a worker that is killed.
 */
import { randomBytes } from 'node:crypto'
import { expect, onTestFinished, test, vi } from 'vitest'
import { connect, type ServerMessage, type SessionHandle } from '../../src/client/client.js'
import { ClusterProcess } from '../support/cluster-process.js'
import { createServerDatabase } from '../support/databases.js'
import { freePort } from '../support/free-port.js'
import { startTraceCollector, strays } from '../support/trace-collector.js'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'
const START_MS = 60_000
/** Longer than any worker takes to start. */
const ENDLESS = JSON.stringify({ count: 10_000, bytes: 8, delayMs: 50 })

async function startCluster() {
  const collector = await startTraceCollector()
  const { url: DATABASE_URL, remove } = await createServerDatabase()
  const port = await freePort()
  const env = {
    ...{ DATABASE_URL, REDIS_URL: process.env.TEST_REDIS_URL ?? '', SHARD_COUNT: '16', METRICS_PORT: '0' },
    ...{ CLUSTER_NAME: `tracing-${randomBytes(4).toString('hex')}`, DAEMON_PORT: String(port) },
    ...{ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '50' },
  }
  const nodes: ClusterProcess[] = []
  const node = async (role: string, name: string): Promise<ClusterProcess> => {
    const started = new ClusterProcess({ args: ['start', '--role', role, '--name', name], env })
    nodes.push(started)
    await started.waitForLine(/"msg":"ready"/, START_MS)
    return started
  }
  onTestFinished(async () => {
    await Promise.all(nodes.map((each) => each.stop()))
    collector.stop()
    await remove()
  })
  return { collector, node, url: `ws://127.0.0.1:${port}` }
}

async function readUntil(session: SessionHandle, ...types: readonly string[]): Promise<ServerMessage | undefined> {
  for await (const message of session) if (types.includes(message.type)) return message
  return undefined
}

const spanIdOf = (message: ServerMessage | undefined): string =>
  (message && 'traceparent' in message ? message.traceparent?.split('-')[2] : undefined) ?? ''

test('one tree over the processes of an edge and a worker; the next owner of a turn goes on in it, with a link', async () => {
  const { collector, node, url } = await startCluster()
  const [first] = await Promise.all([node('worker', 'one'), node('coordinator', 'leader'), node('edge', 'door')])
  const client = await connect({
    url,
    connectTimeoutMs: START_MS,
    traceparent: () => `00-${TRACE}-${SPAN}-01`,
  })
  onTestFinished(() => client.close())

  const whole = await client.spawn({ sessionType: 'echo', task: 'hello' })
  await whole.result()

  const turn = await collector.span('invoke_agent echo')
  await collector.span('fan out', ({ attributes }) => attributes['gen_ai.conversation.id'] === whole.id)
  await collector.span('accept')
  await collector.span('submit')
  // Each process sends its spans when it does.
  await vi.waitFor(() => expect(strays(collector.spans, TRACE, SPAN)).toEqual([]))
  const makers = (name: string) =>
    new Set(collector.spans.filter((it) => it.name === name).map(({ resource }) => resource['orchestrator.role']))
  expect(makers('spawn_session')).toEqual(new Set(['edge']))
  expect(makers('fan out')).toEqual(new Set(['edge']))
  expect(makers('invoke_agent echo')).toEqual(new Set(['worker']))
  expect(makers('commit')).toEqual(new Set(['worker']))
  expect(turn.links).toEqual([])

  const cut = await client.spawn({ sessionType: 'echo', task: ENDLESS })
  const begun = await readUntil(cut, 'task_executing')
  await node('worker', 'two')
  await readUntil(cut, 'stream_chunk')
  first.kill('SIGKILL')
  const takeover = await readUntil(cut, 'session_takeover')
  await cut.cancel()
  const end = await readUntil(cut, 'task_completed', 'task_failed', 'task_cancelled')

  expect(end?.type).toBe('task_cancelled')
  const next = await collector.span(
    'invoke_agent echo',
    ({ attributes }) => attributes['orchestrator.takeover'] === true,
  )
  expect(next).toMatchObject({ traceId: TRACE, spanId: spanIdOf(takeover), links: [spanIdOf(begun)] })
  expect(next.resource['service.instance.id']).toMatch(/^two@/)
  const received = collector.spans.find(({ name, spanId }) => name === 'spawn_session' && spanId === next.parentSpanId)
  expect(received, 'it hangs under the command').toBeDefined()
})
