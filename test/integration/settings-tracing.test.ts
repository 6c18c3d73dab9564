/**
 * Traces: one connected tree from a client's command to the events that came of it, with nothing in it that is nobody
 * else's business; and the settings of OpenTelemetry.
 */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { type ScriptedModel, startScriptedModel } from '../../scripts/demo/scripted-model.js'
import { type Client, connect } from '../../src/client/client.js'
import type { ServerMessage } from '../../src/protocol/events.js'
import { effect, type RunningDaemon, settingsFolder, startWith } from '../support/settings-fixture.js'
import { startTraceCollector, strays, type TraceCollector } from '../support/trace-collector.js'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'
const CONTEXT = `00-${TRACE}-${SPAN}-01`
/** What the scripted model is asked: it runs commands, reads and writes files. */
const REPORT = 'Write a report after `cp /etc/hostname copied.txt`'
const FLUSH_AT_ONCE = { OTEL_BSP_SCHEDULE_DELAY: '50' }

const folder = settingsFolder()
let model: ScriptedModel

beforeAll(async () => {
  model = await startScriptedModel()
  Object.assign(process.env, FLUSH_AT_ONCE)
})
afterAll(async () => {
  await model.stop()
  folder.remove()
  for (const name of Object.keys(FLUSH_AT_ONCE)) delete process.env[name]
})

interface Traced extends RunningDaemon {
  readonly collector: TraceCollector
  readonly client: Client
}

async function start(env: Readonly<Record<string, string>> = {}, traceparent?: () => string): Promise<Traced> {
  const collector = await startTraceCollector()
  const running = await startWith(folder.path, {
    ...{
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OPENAI_API_KEY: 'sk-secret-key',
      OPENAI_BASE_URL: model.openaiUrl,
    },
    ...env,
  })
  const url = `ws://127.0.0.1:${running.daemon.port}`
  const client = await connect({ url, ...(traceparent && { traceparent }) })
  onTestFinished(async () => {
    client.close()
    await running.stop()
    collector.stop()
  })
  return { ...running, collector, client }
}

async function storyOf(client: Client, task: string, sessionType: 'llm' | 'echo' = 'llm'): Promise<ServerMessage[]> {
  const session = await client.spawn({ sessionType, task })
  const story: ServerMessage[] = []
  for await (const message of session) {
    story.push(message)
    if (message.type === 'task_completed' || message.type === 'task_failed') break
  }
  return story
}

effect(
  ['OTEL_EXPORTER_OTLP_ENDPOINT'],
  'a command, its model calls, tools, commits and events are one tree',
  async () => {
    const { client, collector, stop } = await start({}, () => CONTEXT)
    const story = await storyOf(client, REPORT)
    await stop()

    const own = collector.spans.filter(({ traceId }) => traceId === TRACE)
    const names = new Set(own.map(({ name }) => name))
    expect([...names].filter((name) => !/^(chat|execute_tool)/.test(name)).sort()).toEqual([
      ...['accept', 'commit', 'fan out', 'invoke_agent llm', 'spawn_session', 'submit'],
    ])
    expect(strays(collector.spans, TRACE, SPAN)).toEqual([])
    const named = (name: string | RegExp) => own.filter((span) => span.name.match(name))
    const [received] = named('spawn_session')
    const [turn] = named(/^invoke_agent/)
    expect(received?.parentSpanId).toBe(SPAN)
    expect([named('submit'), named('accept'), named(/^invoke_agent/)].map(([span]) => span?.parentSpanId)).toEqual(
      Array.from({ length: 3 }, () => received?.spanId),
    )
    const calls = [...named(/^chat/), ...named(/^execute_tool/)]
    expect(new Set(calls.map(({ parentSpanId }) => parentSpanId))).toEqual(new Set([turn?.spanId]))
    expect(named(/^chat/)[0]?.attributes).toMatchObject({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.usage.output_tokens': expect.any(Number),
      'gen_ai.response.finish_reasons': ['tool_calls'],
    })
    expect(named('execute_tool bash_execute')[0]?.attributes).toMatchObject({ 'gen_ai.tool.name': 'bash_execute' })
    // Events say where they belong, so that a client finds its trace.
    const started = story.find(({ type }) => type === 'task_executing')
    expect(started).toMatchObject({ traceparent: `00-${TRACE}-${turn?.spanId}-01` })
    // Every event has gone out under a span of its own commit.
    const shown = (span: { attributes: Record<string, unknown> }) => Number(span.attributes['orchestrator.events'])
    const sum = (spans: readonly { attributes: Record<string, unknown> }[]) => spans.reduce((n, it) => n + shown(it), 0)
    expect(sum(named('fan out'))).toBe(sum(named('commit')))
  },
)

effect(['OTEL_EXPORTER_OTLP_ENDPOINT'], 'what was said, and every secret, stays out of the spans', async () => {
  const { client, collector, stop } = await start()
  await storyOf(client, `${REPORT} zeppelin`)
  await stop()

  const all = collector.bodies.join('\n')
  expect(collector.spans.length).toBeGreaterThan(5)
  for (const text of ['zeppelin', 'sk-secret-key', 'copied.txt', '/etc/hostname', 'report.md']) {
    expect(all, text).not.toContain(text)
  }
})

test('a request over HTTP brings its trace in a header', async () => {
  const { daemon, collector } = await start()
  const answer = await fetch(`http://127.0.0.1:${daemon.port}/api/sessions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', traceparent: CONTEXT },
    body: JSON.stringify({ task: 'once', sessionType: 'echo' }),
  })

  expect(answer.status).toBe(201)
  expect(await collector.span('spawn_session')).toMatchObject({ traceId: TRACE, parentSpanId: SPAN })
  expect(await collector.span('invoke_agent echo')).toMatchObject({ traceId: TRACE })
})

test('a refused command is a failed span', async () => {
  const { client, collector } = await start()
  await client.attach('session_000_01ARZ3NDEKTSV4RRFFQ69G5FAV').catch(() => undefined)
  const missing = { sessionId: 'session_000_01ARZ3NDEKTSV4RRFFQ69G5FAV', approvalId: 'none' }
  await expect(client.decide(missing, 'approve')).rejects.toThrow()

  const span = await collector.span('approval_decision')
  expect(span).toMatchObject({ hasFailed: true, attributes: { 'error.type': 'session_not_found' } })
})

test('where nothing is traced, a client’s own context comes back on its events and nothing is added', async () => {
  const { daemon, stop } = await startWith(folder.path, {})
  const client = await connect({ url: `ws://127.0.0.1:${daemon.port}`, traceparent: () => CONTEXT })
  const plain = await connect({ url: `ws://127.0.0.1:${daemon.port}` })
  onTestFinished(async () => {
    client.close()
    plain.close()
    await stop()
  })

  const [traced, untraced] = [await storyOf(client, 'hello', 'echo'), await storyOf(plain, 'hello', 'echo')]

  expect(traced.find(({ type }) => type === 'task_completed')).toMatchObject({ traceparent: CONTEXT })
  expect(JSON.stringify(untraced)).not.toContain('traceparent')
})

effect(['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'], 'is the whole address', async () => {
  const whole = await startTraceCollector()
  onTestFinished(() => whole.stop())
  const { client } = await start({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${whole.url}/v1/traces` })
  await storyOf(client, 'hello', 'echo')

  expect(await whole.span('commit')).toBeDefined()
})

effect(
  ['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_SERVICE_NAME', 'OTEL_RESOURCE_ATTRIBUTES'],
  'are shown to the collector',
  async () => {
    const { client, collector, config } = await start({
      OTEL_EXPORTER_OTLP_HEADERS: 'x-key=a%20key, x-other = b',
      OTEL_SERVICE_NAME: 'agents',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test,service.name=not-this',
    })
    await storyOf(client, 'hello', 'echo')

    const { resource } = await collector.span('commit')
    expect(resource).toMatchObject({ 'service.name': 'agents', 'deployment.environment.name': 'test' })
    expect(resource).toMatchObject({ 'orchestrator.role': 'all', 'service.instance.id': expect.stringMatching('@') })
    expect(collector.headers[0]).toMatchObject({ 'x-key': 'a key', 'x-other': 'b' })
    expect(config.tracing.serviceName).toBe('agents')
  },
)

effect(['OTEL_TRACES_SAMPLER', 'OTEL_TRACES_SAMPLER_ARG'], 'decide which traces are recorded', async () => {
  let context = ''
  const env = { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' }
  const { client, collector, stop } = await start(env, () => context)
  const untraced = await storyOf(client, 'hello', 'echo')
  context = CONTEXT
  await storyOf(client, 'hello', 'echo')
  await stop()

  expect(new Set(collector.spans.map(({ traceId }) => traceId))).toEqual(new Set([TRACE]))
  expect(JSON.stringify(untraced)).not.toContain('traceparent')
})

effect(
  ['OTEL_EXPORTER_OTLP_PROTOCOL', 'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'],
  'write spans in JSON or in protobuf, which is the default',
  async () => {
    const typesWith = async (env: Readonly<Record<string, string>>) => {
      const { client, collector, stop } = await start(env, () => CONTEXT)
      await storyOf(client, 'hello', 'echo')
      await stop()

      expect(strays(collector.spans, TRACE, SPAN)).toEqual([])
      expect(collector.spans.map(({ name }) => name)).toContain('invoke_agent echo')
      return new Set(collector.headers.map((headers) => headers['content-type']))
    }
    const [json, protobuf] = [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' }, 'http/protobuf']

    expect(await typesWith({})).toEqual(new Set(['application/x-protobuf']))
    expect(await typesWith(json)).toEqual(new Set(['application/json']))
    expect(await typesWith({ ...json, OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: protobuf })).toEqual(
      new Set(['application/x-protobuf']),
    )
  },
)

test('the names of the reference stand for those of the standard', async () => {
  const collector = await startTraceCollector()
  onTestFinished(() => collector.stop())
  let context = ''
  const { client, stop } = await start(
    {
      ...{ OTEL_EXPORTER_OTLP_ENDPOINT: '', TRACING_ENDPOINT: collector.url, TRACING_ENABLED: 'true' },
      ...{ TRACING_SERVICE_NAME: 'agents', TRACING_SAMPLE_RATE: '0' },
    },
    () => context,
  )
  await storyOf(client, 'hello', 'echo')
  context = CONTEXT
  await storyOf(client, 'hello', 'echo')
  await stop()

  // Of those that the client has recorded nothing is left out; of the others, everything.
  expect(new Set(collector.spans.map(({ traceId }) => traceId))).toEqual(new Set([TRACE]))
  expect(collector.spans[0]?.resource).toMatchObject({ 'service.name': 'agents' })
})

effect(['TRACING_ENABLED'], 'switches tracing off, whatever else is set', async () => {
  const { client, collector, stop } = await start({ TRACING_ENABLED: 'false' })
  await storyOf(client, 'hello', 'echo')
  await stop()

  expect(collector.headers).toEqual([])
})

effect(['OTEL_SDK_DISABLED', 'OTEL_TRACES_EXPORTER'], 'switch tracing off', async () => {
  for (const env of [{ OTEL_SDK_DISABLED: 'true' }, { OTEL_TRACES_EXPORTER: 'none' }]) {
    const { client, collector, stop } = await start(env)
    await storyOf(client, 'hello', 'echo')
    await stop()

    expect(collector.headers).toEqual([])
  }
})
