/**
 * Real sessions through a real daemon, and what its page says of them afterwards: every family by name, type and labels.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import WebSocket from 'ws'
import { type ScriptedModel, startScriptedModel } from '../../scripts/demo/scripted-model.js'
import { type Client, connect } from '../../src/client/client.js'
import { loadConfig } from '../../src/config/load.js'
import { Daemon } from '../../src/daemon.js'
import { signToken } from '../../src/edge/token.js'
import type { DaemonStatus } from '../../src/protocol/replies.js'
import { silentLog } from '../../src/telemetry/log.js'
import { VERSION } from '../../src/version.js'
import { createServerDatabase } from '../support/databases.js'
import { type MetricsPage, readMetrics, valueIn } from '../support/metrics-page.js'

const SECRET = 'a-secret-of-at-least-thirty-two-characters'
const API_KEY = 'a-key-of-a-program-with-enough-characters'
const PATIENCE = { timeout: 15_000, interval: 20 }
/** Streams until it is stopped. */
const ENDLESS = { description: 'endless', metadata: { echo: { count: 10_000, bytes: 4, delayMs: 20 } } }

const folder = mkdtempSync(join(tmpdir(), 'metrics-'))
let database: Awaited<ReturnType<typeof createServerDatabase>>
let model: ScriptedModel
let daemon: Daemon
let token: string
let client: Client
/** While a task ran and another one waited. */
let busy: { readonly page: MetricsPage; readonly status: DaemonStatus }
/** After everything. */
let page: MetricsPage
let status: DaemonStatus
const used = { prompt: 0, completion: 0, cost: 0, steps: 0 }

/** One that has nothing to say before a command, and one that fails after it. */
function hooksFile(): string {
  const file = join(folder, 'hooks.json')
  const of = (command: string) => [{ matcher: 'bash_execute', hooks: [{ command }] }]
  writeFileSync(file, JSON.stringify({ hooks: { PreToolUse: of('true'), PostToolUse: of('exit 3') } }))
  return file
}

async function startDaemon(): Promise<Daemon> {
  const env = {
    ...{ DAEMON_PORT: '0', METRICS_PORT: '0', DAEMON_NAME: 'node-1', DAEMON_RATE_LIMIT_ENABLED: 'false' },
    ...{ DAEMON_JWT_SECRET: SECRET, DATABASE_URL: database.url, WORKSPACE_ROOT: join(folder, 'workspaces') },
    HOOKS_FILE: hooksFile(),
    ...{ OPENAI_API_KEY: 'k', OPENAI_BASE_URL: model.openaiUrl, SHARD_COUNT: '4', DAEMON_MAX_SESSIONS: '4' },
    // Delegations are counted in the tests of the federation.
    ENABLE_FEDERATION: 'false',
    DAEMON_AUTH_API_KEYS: JSON.stringify([{ key: API_KEY, clientId: 'ci', role: 'user' }]),
  }
  const config = loadConfig({ flags: {}, env, cwd: folder })
  const started = new Daemon({ config, log: silentLog, onDead: () => undefined })
  await started.start()
  return started
}

const connectTo = (one: Daemon): Promise<Client> => connect({ url: `ws://127.0.0.1:${one.port}`, token })
const echo = (orchestratorId: string, task: Parameters<Client['spawn']>[0]['task']) =>
  client.spawn({ sessionType: 'echo', orchestratorId, task })

/** Spawns a session for the scripted model, follows its task to the end and adds up what it used. */
async function runLlm(task: string): Promise<string> {
  const session = await client.spawn({ sessionType: 'llm', orchestratorId: 'orch', task })
  for await (const message of session) {
    if (message.type === 'stream_end') {
      used.prompt += message.metadata.promptTokens
      used.completion += message.metadata.completionTokens
      used.cost += message.metadata.cost
      used.steps += 1
    }
    if (message.type === 'task_completed' || message.type === 'task_failed') return message.type
  }
  throw new Error('the session ended without an end of its task')
}

/** A connection that sends something and waits for the answer; undefined when it is not let in. */
function knock(path: string, frame: string): Promise<string | undefined> {
  const socket = new WebSocket(`ws://127.0.0.1:${daemon.port}/${path}`)
  return new Promise((resolve) => {
    socket.on('error', () => resolve(undefined))
    socket.on('open', () => socket.send(frame))
    socket.on('message', (data) => {
      if (String(data).includes('health_check_response')) return
      resolve(String(data))
      socket.close()
    })
  })
}

/** A task that its owner leaves unfinished: the next daemon takes it over. */
async function leaveBehind(): Promise<string> {
  const former = await startDaemon()
  client = await connectTo(former)
  const session = await echo('orch', ENDLESS)
  for await (const message of session) if (message.type === 'stream_chunk') break
  client.close()
  await former.stop()
  return session.id
}

async function workAndStop(): Promise<void> {
  const session = await echo('orch', ENDLESS)
  for await (const message of session) if (message.type === 'stream_chunk') break
  const ended = session.execute('never begins')
  // Loads are told once a second.
  await vi.waitFor(async () => expect((await client.status()).queuedTasks).toBeGreaterThanOrEqual(2), PATIENCE)
  busy = { page: await readMetrics(daemon.metricsPort), status: await client.status() }
  await session.stop()
  await ended
}

beforeAll(async () => {
  database = await createServerDatabase()
  model = await startScriptedModel()
  const rules = { issuer: 'wundr-orchestrator', audience: 'wundr-daemon', lifetimeMs: 600_000 }
  const holder = { tenant: 't', subject: 's', role: 'user', scopes: undefined } as const
  token = (await signToken(holder, new TextEncoder().encode(SECRET), rules)).token
  const left = await leaveBehind()
  daemon = await startDaemon()
  client = await connectTo(daemon)
  const taken = await client.attach(left)
  // Stopped before it goes on, it would not be a takeover.
  for await (const message of taken) if (message.type === 'session_takeover') break
  await taken.stop()
  await runLlm('write a report after `cp -r . report.md`')
  model.failNext(1, 401, { message: 'no' })
  await runLlm('Count to 2')
  model.failNext(4, 429, { message: 'slow down', retryAfter: 0 })
  await runLlm('Count to 2')
  await workAndStop()
  await knock(`?apiKey=${API_KEY}`, 'not json')
  await knock('?token=nonsense', '')
  status = await vi.waitFor(async () => {
    const answer = await client.status()
    expect(answer.metrics).toMatchObject({ totalTasksProcessed: 5, activeSessions: 3 })
    return answer
  }, PATIENCE)
  await fetch(`http://127.0.0.1:${daemon.metricsPort}/live`)
  await fetch(`http://127.0.0.1:${daemon.port}/api/openapi.json`)
  page = await settledPage()
})

/**
 * The page when it says what it must, or what it says when that does not come: connections close and loads are told a
 * moment later.
 */
async function settledPage(): Promise<MetricsPage> {
  let read = await readMetrics(daemon.metricsPort)
  const isSettled = async (): Promise<boolean> => {
    read = await readMetrics(daemon.metricsPort)
    return Object.entries(DRIVEN).every(([family, [, series, expected]]) => {
      const value = valueIn(read, family, `${family}${series}`)
      return expected === 'positive' || Math.abs(value - (typeof expected === 'number' ? expected : expected())) < 1e-9
    })
  }
  await vi.waitUntil(isSettled, PATIENCE).catch(() => undefined)
  return read
}

afterAll(async () => {
  client.close()
  await daemon.stop()
  await model.stop()
  await database.remove()
  rmSync(folder, { recursive: true, force: true })
})

type Expected = readonly [type: string, series: string, value: number | (() => number) | 'positive']

const orch = 'orchestrator_id="orch"'
const echoes = `{${orch},session_type="echo"}`
const llms = `{${orch},session_type="llm"}`
const byModel = '{model="gpt-4o-mini",orchestrator_id="orch"}'
const called = '{model="gpt-4o-mini",provider="openai"}'
const written = '{status="error",tool_name="file_write"}'
const hooked = '{hook="PreToolUse",plugin_name="true",status="success"}'
const webSocket = (label: string): string => `{channel="websocket",${label}}`

/** Every family that is registered, and a series that the work above has driven to this value. */
const DRIVEN: Readonly<Record<string, Expected>> = {
  orchestrator_build_info: ['gauge', `{version="${VERSION}"}`, 1],
  orchestrator_commands_total: ['counter', '{outcome="accepted"}', 7],
  orchestrator_commits_total: ['counter', '{outcome="ok"}', 'positive'],
  orchestrator_disk_free_bytes: ['gauge', '{folder="workspaces"}', 'positive'],
  orchestrator_disk_size_bytes: ['gauge', '{folder="workspaces"}', 'positive'],
  orchestrator_errors_total: ['counter', `{error_type="model_auth",${orch}}`, 1],
  orchestrator_charter_verdicts_total: ['counter', '{decision="allow"}', 'positive'],
  orchestrator_http_request_duration_seconds: ['histogram', '_count{endpoint="/api/openapi.json"}', 1],
  orchestrator_http_requests_total: ['counter', '{endpoint="/api/openapi.json",method="GET",status="200"}', 1],
  orchestrator_message_latency_seconds: ['histogram', `_count{${orch}}`, 5],
  orchestrator_node_load: ['gauge', '{node_id="node-1"}', 0],
  orchestrator_part_up: ['gauge', '{part="database"}', 1],
  orchestrator_sessions_active: ['gauge', echoes, 0],
  orchestrator_shards_owned: ['gauge', '', 4],
  orchestrator_takeover_seconds: ['histogram', '_count', 1],
  orchestrator_text_flush_interval_seconds: ['gauge', '', 'positive'],
  orchestrator_text_flush_seconds: ['histogram', '_count', 'positive'],
  orchestrator_tokens_used_total: ['counter', byModel, () => used.prompt + used.completion],
  orchestrator_tool_invocations_total: ['counter', `{${orch},status="error",tool_name="file_write"}`, 1],
  orchestrator_turn_seconds: ['histogram', '_count{outcome="failed"}', 2],
  orchestrator_unprojected_events: ['gauge', '', 0],
  wundr_agent_completed_total: ['counter', `{exit_reason="completed",${orch},session_type="llm"}`, 1],
  wundr_agent_duration_seconds: ['histogram', `_count${llms}`, 3],
  wundr_agent_failed_total: ['counter', `{error_type="model_rate_limit",${orch},session_type="llm"}`, 1],
  wundr_agent_running: ['gauge', echoes, 0],
  wundr_agent_spawned_total: ['counter', llms, 3],
  wundr_channel_active: ['gauge', '{channel_type="websocket"}', 1],
  wundr_channel_errors_total: ['counter', webSocket('error_type="jwt_malformed"'), 1],
  wundr_channel_message_latency_seconds: ['histogram', '_count{channel="rest"}', 1],
  wundr_channel_messages_received_total: ['counter', webSocket('message_type="unknown"'), 1],
  wundr_channel_messages_sent_total: ['counter', webSocket('message_type="task_completed"'), 1],
  wundr_model_cost_dollars_total: ['counter', called, () => used.cost],
  wundr_model_errors_total: ['counter', '{error_type="auth",model="gpt-4o-mini",provider="openai"}', 1],
  wundr_model_rate_limited_total: ['counter', called, 1],
  wundr_model_request_duration_seconds: ['histogram', `_count${called}`, () => used.steps],
  wundr_model_request_tokens_total: ['counter', `${called.slice(0, -1)},token_type="prompt"}`, () => used.prompt],
  wundr_model_requests_total: ['counter', called, () => used.steps],
  wundr_plugin_active: ['gauge', '', 2],
  wundr_plugin_errors_total: ['counter', '{error_type="failed",hook="PostToolUse",plugin_name="exit"}', 2],
  wundr_plugin_execution_duration_seconds: ['histogram', `_count${hooked}`, 2],
  wundr_plugin_execution_total: ['counter', hooked, 2],
  wundr_process_cpu_system_seconds_total: ['counter', '', 'positive'],
  wundr_process_cpu_user_seconds_total: ['counter', '', 'positive'],
  wundr_process_event_loop_lag_seconds: ['histogram', '_count', 'positive'],
  wundr_process_memory_external_bytes: ['gauge', '', 'positive'],
  wundr_process_memory_heap_bytes: ['gauge', '', 'positive'],
  wundr_process_memory_rss_bytes: ['gauge', '', 'positive'],
  wundr_process_uptime_seconds: ['gauge', '', 'positive'],
  wundr_queue_depth: ['gauge', '{queue_name="commands"}', 0],
  wundr_queue_dequeued_total: ['counter', '{queue_name="inboxes"}', 5],
  wundr_queue_dropped_total: ['counter', '{queue_name="inboxes",reason="cancelled"}', 1],
  wundr_queue_enqueued_total: ['counter', '{queue_name="inboxes"}', 6],
  wundr_queue_processing_duration_seconds: ['histogram', '_count{queue_name="turns"}', 5],
  wundr_request_duration_summary_seconds: ['summary', '_count{endpoint="/live",method="GET"}', 1],
  wundr_session_cost_dollars_total: ['counter', `${byModel.slice(0, -1)},provider="openai"}`, () => used.cost],
  wundr_session_duration_seconds: ['histogram', `_count${echoes}`, 2],
  wundr_session_iterations_total: ['counter', `{${orch}}`, () => used.steps + 2],
  wundr_session_tokens_completion_total: ['counter', byModel, () => used.completion],
  wundr_session_tokens_prompt_total: ['counter', byModel, () => used.prompt],
  wundr_token_usage_summary: ['summary', `_sum${called}`, () => used.prompt + used.completion],
  wundr_tool_errors_total: ['counter', '{error_type="error",tool_name="file_write"}', 1],
  wundr_tool_execution_duration_seconds: ['histogram', `_count${written}`, 1],
  wundr_tool_execution_total: ['counter', written, 1],
  wundr_tool_queue_depth: ['gauge', '', 0],
  wundr_ws_connections_active: ['gauge', '', 1],
  wundr_ws_connections_total: ['counter', '{auth_method="api-key"}', 1],
  wundr_ws_errors_total: ['counter', '{error_type="jwt_malformed"}', 1],
  wundr_ws_message_size_bytes: ['histogram', '_count{direction="in"}', 'positive'],
  wundr_ws_messages_received_total: ['counter', '{message_type="unknown"}', 1],
  wundr_ws_messages_sent_total: ['counter', '{message_type="task_completed"}', 1],
  wundr_ws_session_subscriptions: ['gauge', '', 5],
}

/** Background jobs are done by the hour; background-jobs.test.ts makes them happen. */
const budget = (name: string): string => `orchestrator_budget_${name}`
const memory = (name: string): string => `wundr_memory_${name}`
const DRIVEN_ELSEWHERE = [
  ...['orchestrator_jobs_total', 'orchestrator_job_seconds'],
  // Servers of sessions: test/unit/telemetry/metrics.test.ts.
  'wundr_plugin_load_duration_seconds',
  // Where people are asked: test/unit/telemetry/metrics.test.ts.
  ...['orchestrator_approval_wait_seconds', 'orchestrator_approvals_waiting'],
  // Model calls that count: test/unit/telemetry/metrics.test.ts.
  ...['utilization_percent', 'refusals_total', 'alerts_total', 'unsettled_total', 'unwritten_total'].map(budget),
  budget('webhooks_total'),
  // What agents remember: test/unit/telemetry/metrics.test.ts.
  ...['bytes', 'cache_hits_total', 'cache_misses_total', 'compaction_total', 'entries_total'].map(memory),
  ...['search_latency_seconds', 'searches_total'].map(memory),
]

describe('the metrics of a daemon that has worked', () => {
  test.each(Object.entries(DRIVEN))('MET: %s counts what happened', (family, [type, series, expected]) => {
    const value = valueIn(page, family, `${family}${series}`)

    expect(page.get(family)?.type).toBe(type)
    if (expected === 'positive') expect(value).toBeGreaterThan(0)
    else expect(value).toBeCloseTo(typeof expected === 'number' ? expected : expected(), 9)
  })

  test('have no family that is not driven here, beside those of the platform', () => {
    const own = [...page.keys()].filter((name) => !/^(nodejs|process)_/.test(name))

    expect(own.sort()).toEqual([...Object.keys(DRIVEN), ...DRIVEN_ELSEWHERE].sort())
  })

  test('H-02: show the process as every client of Prometheus does', () => {
    expect(valueIn(page, 'process_resident_memory_bytes', 'process_resident_memory_bytes')).toBeGreaterThan(0)
    expect(valueIn(page, 'nodejs_eventloop_lag_seconds', 'nodejs_eventloop_lag_seconds')).toBeGreaterThanOrEqual(0)
  })

  test('show a session at work, and what waits in it', () => {
    expect(valueIn(busy.page, 'orchestrator_sessions_active', `orchestrator_sessions_active${echoes}`)).toBe(1)
    expect(valueIn(busy.page, 'wundr_agent_running', `wundr_agent_running${echoes}`)).toBe(1)
    expect(valueIn(busy.page, 'orchestrator_node_load', 'orchestrator_node_load{node_id="node-1"}')).toBe(0.25)
    expect(valueIn(busy.page, 'wundr_queue_depth', 'wundr_queue_depth{queue_name="inboxes"}')).toBe(2)
  })
})

describe('daemon_status', () => {
  test('tells what is at work', () => {
    expect(busy.status).toMatchObject({ activeSessions: 1, queuedTasks: 2, maxSessions: 4, status: 'running' })
  })

  test('adds up all sessions and tasks, the former life of the process included', () => {
    const { metrics } = status

    expect(metrics).toMatchObject({ totalSessionsSpawned: 5, totalTasksProcessed: 5, activeSessions: 3 })
    expect(metrics.totalTokensUsed).toBe(used.prompt + used.completion)
    // One completed, two failed; the two that were cancelled are neither, and one never began.
    expect(metrics.successRate).toBeCloseTo(1 / 3, 9)
  })

  test('gives the mean time that sessions worked, in ms', () => {
    const workedS = valueIn(page, 'wundr_agent_duration_seconds', `wundr_agent_duration_seconds_sum${llms}`)
    const echoedS = valueIn(page, 'wundr_agent_duration_seconds', `wundr_agent_duration_seconds_sum${echoes}`)

    expect(status.metrics.averageSessionDuration).toBeCloseTo(((workedS + echoedS) * 1_000) / 5, 3)
  })

  test('tells of the process what the process tells', () => {
    expect(status.memoryUsageMB).toBeGreaterThan(20)
    expect(status.cpuUsagePercent).toBeGreaterThan(0)
    expect(status.uptime).toBeGreaterThan(busy.status.uptime)
    expect(status.uptime).toBeLessThan(process.uptime() * 1_000)
  })

  test('names each part and how it is', () => {
    const states = Object.entries(status.subsystems).map(([name, part]) => [name, part.status])

    expect(Object.fromEntries(states)).toEqual({
      ...{ edge: 'running', bus: 'running', database: 'running', workers: 'running', model: 'running' },
    })
  })
})
