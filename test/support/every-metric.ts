/**
 * Every family of metrics with its labels and the values that these may have: each occasion happens once. That the list is
 * whole is what test/integration/monitoring.test.ts compares with the pages of real nodes.
 */
import { ERRORS } from '../../src/protocol/errors.js'
import { CONNECTED } from '../../src/telemetry/channel-metrics.js'
import { createMetrics } from '../../src/telemetry/metrics.js'
import { type MetricsPage, parseMetrics } from './metrics-page.js'

const event = { sessionId: 's', timestamp: '2026-01-01T00:00:00.000Z' }
const usage = { promptTokens: 1, completionTokens: 2, cost: 0.1, duration: 1_500 }
const busy = { orchestratorId: 'o', type: 'llm' } as const

export async function everyMetric(): Promise<MetricsPage> {
  const metrics = createMetrics('node')
  ownProcess(metrics)
  edge(metrics)
  worker(metrics)
  sessions(metrics)
  domain(metrics)
  metrics.start()
  metrics.pageServed('GET', '/metrics', 0.1)
  const { body } = await metrics.page()
  metrics.stop()
  return parseMetrics(body)
}

type All = ReturnType<typeof createMetrics>

function ownProcess({ watchParts, watchFolders, cluster }: All): void {
  const healthy = { status: 'healthy', durationMs: 1 } as const
  watchParts(async () => ({ status: 'healthy', checks: { redis: healthy, bus: healthy, database: healthy } }))
  watchFolders({ workspaces: '.', database: '.' })
  cluster.seen({ roles: ['edge', 'worker', 'coordinator', 'all'], stranded: 0, frozen: false })
  cluster.died()
}

function edge({ edge: it }: All): void {
  it.connections(1, 'jwt')
  for (const code of Object.keys(ERRORS)) {
    for (const name of CONNECTED) it.channel(name).failed(code)
    it.dropped(code)
  }
  for (const name of CONNECTED) {
    const channel = it.channel(name)
    channel.received('ping', 10)
    channel.sent(['{"type":"pong"}'])
    channel.answered(0.1)
  }
  it.submitted()
  it.accepted(0.1)
  it.busy()
  for (const status of [200, 404, 503]) it.served('GET', '/api/sessions', status, 0.01)
  it.watch({ subscriptions: () => 1, waiting: () => 1, requests: () => 1 })
}

function worker({ worker: it }: All): void {
  for (const outcome of ['ok', 'dup', 'fenced', 'head', 'rollback', 'corrupt'] as const) it.commit(outcome)
  for (const outcome of ['completed', 'failed', 'cancelled', 'quarantined'] as const) it.turnEnded(outcome, 1)
  it.takeover(3)
  it.turnBegan(0.1)
  it.flushed(0.002)
  it.verdict('allow')
  it.approval('approved', 10)
  it.watchApprovals(() => 1)
  it.watch({
    sessions: () => [{ ...busy, isRunning: true }],
    queued: () => 1,
    waitingTurns: () => 1,
    load: () => 0.5,
    shards: () => 4,
    unprojected: () => 1,
    flushIntervalMs: () => 20,
  })
}

function sessions({ worker: it }: All): void {
  const meter = it.openMeter()
  const session = { id: 's', orchestratorId: 'o', type: 'llm', status: 'completed', startedAt: event.timestamp }
  const task = { ...event, taskId: 't' }
  const message = { ...event, messageId: 'm' }
  const call = { ...event, data: { toolName: 'file_write', status: 'completed', result: {} } }
  const spent = { model: 'gpt-4o-mini', ...usage }
  const events = [
    { type: 'task_executing', ...task },
    { type: 'stream_start', ...message, metadata: { model: 'gpt-4o-mini' } },
    { type: 'stream_end', ...message, metadata: spent },
    { type: 'tool_call_result', ...call },
    { type: 'context_compacted', ...event, metadata: spent },
    { type: 'task_completed', ...task, usage },
    { type: 'task_executing', ...task },
    { type: 'task_failed', ...task, error: 'e', code: 'internal', usage },
    // Its task never began.
    { type: 'task_cancelled', ...task, taskId: 'other', usage },
    { type: 'session_status_update', ...event, session: { ...session, endedAt: event.timestamp } },
  ]
  meter.queued()
  for (const each of events) meter.recorded(busy, each as unknown as Parameters<typeof meter.recorded>[1])
}

function domain({ budgets, jobs, federation, memory, neolith, plugins, ...calls }: All): void {
  const { modelCall, toolCall, toolsWaiting } = calls
  const budget = { scope: 'orchestrator', id: 'o', period: 'daily' }
  budgets.utilization(budget, 50)
  budgets.refused(budget)
  budgets.alerted('orchestrator', 75)
  budgets.unsettled()
  budgets.unwritten(1)
  for (const outcome of ['delivered', 'failed', 'dropped']) budgets.webhook(outcome)
  for (const outcome of ['done', 'failed', 'refused'] as const) jobs.ended('retention', outcome, 1)
  federation.delegated({ from: 'a', to: 'b', status: 'completed', seconds: 1 })
  federation.watch({ registered: () => 1, open: () => 1 })
  memory.searched('episodic', 'o', 0.1)
  memory.sizeKnown(true)
  memory.sizeKnown(false)
  memory.measured([{ tier: 'episodic', orchestratorId: 'o', items: 1, bytes: 10 }])
  for (const outcome of ['ok', 'server_error', 'circuit_open']) neolith.called('heartbeat', outcome, 0.1)
  neolith.taken(1)
  neolith.written()
  for (const status of ['answered', 'refused', 'unanswered']) neolith.ended(status)
  neolith.watch({ breaker: () => 'open', reporting: () => true, open: () => 1 })
  const call = { provider: 'openai', model: 'gpt-4o-mini', seconds: 1, ...usage, costDollars: 0.1 }
  modelCall(call)
  modelCall({ ...call, error: 'rate_limit' })
  for (const status of ['success', 'error']) toolCall({ name: 'file_write', seconds: 1, status })
  toolsWaiting(1)
  for (const use of ['load', 'call', 'PreToolUse', 'PostToolUse'] as const) {
    for (const error of [undefined, 'timeout', 'failed', 'unreachable', 'no_answer', 'tool_error']) {
      plugins.ran({ name: 'files', use, seconds: 0.1, error })
    }
  }
  plugins.watch(() => 1)
}
