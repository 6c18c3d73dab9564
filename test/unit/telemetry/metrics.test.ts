/**
 * What metrics promise whatever is counted: bounded labels, and histograms that add up.
 */
import { expect, test } from 'vitest'
import { MAX_ORCHESTRATORS } from '../../../src/telemetry/label-limit.js'
import { createMetrics, type Metrics } from '../../../src/telemetry/metrics.js'

const base = { sessionId: 's', timestamp: '2026-01-01T00:00:00.000Z' }
const usage = { promptTokens: 1, completionTokens: 2, cost: 0, duration: 1_500 }

async function linesOf(metrics: Metrics, family: string): Promise<string[]> {
  const { body } = await metrics.page()
  return body.split('\n').filter((line) => line.startsWith(`${family}{`) || line.startsWith(`${family} `))
}

/** One task of a session of this orchestrator, from its start to its failure. */
function failTask(metrics: Metrics, orchestratorId: string): void {
  const meter = metrics.worker.openMeter()
  const session = { orchestratorId, type: 'echo' } as const
  meter.recorded(session, { type: 'task_failed', ...base, taskId: 'never began', error: 'e', code: 'internal', usage })
  meter.recorded(session, {
    ...{ type: 'session_takeover', ...base, taskId: 't', fromWorker: 'a', worker: 'b', attempt: 1, afterMs: 0 },
  })
  meter.recorded(session, { type: 'task_failed', ...base, taskId: 't', error: 'e', code: 'internal', usage })
}

test('orchestrators beyond the limit are counted as other', async () => {
  const metrics = createMetrics()

  for (let number = 0; number < MAX_ORCHESTRATORS + 50; number++) failTask(metrics, `orchestrator-${number}`)

  const lines = await linesOf(metrics, 'orchestrator_errors_total')
  expect(lines).toHaveLength(MAX_ORCHESTRATORS + 1)
  expect(lines).toContain('orchestrator_errors_total{orchestrator_id="other",error_type="internal"} 50')
})

test('a task that ends without having begun is dropped, not worked on', async () => {
  const metrics = createMetrics()

  failTask(metrics, 'o')

  expect(await linesOf(metrics, 'wundr_queue_dropped_total')).toEqual([
    'wundr_queue_dropped_total{queue_name="inboxes",reason="cancelled"} 1',
  ])
  expect(await linesOf(metrics, 'wundr_agent_duration_seconds_count')).toEqual([
    'wundr_agent_duration_seconds_count{orchestrator_id="o",session_type="echo"} 1',
  ])
})

test('types of messages that are not in the protocol are one series', async () => {
  const { edge, ...metrics } = createMetrics()

  const door = edge.channel('websocket')
  for (let number = 0; number < 100; number++) door.received(`made-up-${number}`, 10)
  door.received(undefined, 10)
  door.sent(['{"no":"type"}', '{"type":"invented"}'])

  const page = { ...metrics } as Metrics
  expect(await linesOf(page, 'wundr_ws_messages_received_total')).toEqual([
    'wundr_ws_messages_received_total{message_type="unknown"} 101',
  ])
  expect(await linesOf(page, 'wundr_ws_messages_sent_total')).toEqual([
    'wundr_ws_messages_sent_total{message_type="unknown"} 2',
  ])
})

test('the buckets of a histogram hold everything up to their bound', async () => {
  const metrics = createMetrics()

  for (const bytes of [64, 65, 5_000_000]) metrics.edge.channel('websocket').received('ping', bytes)

  const buckets = await linesOf(metrics, 'wundr_ws_message_size_bytes_bucket')
  const incoming = buckets.filter((line) => line.includes('direction="in"'))
  const counts = incoming.map((line) => Number(line.split(' ')[1]))
  expect(counts).toEqual([1, 2, 2, 2, 2, 2, 2, 2, 3])
  expect(incoming.at(-1)).toContain('le="+Inf"')
  expect(await linesOf(metrics, 'wundr_ws_message_size_bytes_sum')).toContain(
    'wundr_ws_message_size_bytes_sum{direction="in"} 5000129',
  )
})

test('what is told of WebSockets is the sum over the channels of connections', async () => {
  const metrics = createMetrics()
  for (const name of ['websocket', 'socket.io', 'socket.io'] as const) metrics.edge.channel(name).received('ping', 1)
  metrics.edge.served('GET', '/api/sessions', 404, 0.02)
  metrics.neolith.taken(3)

  expect(await linesOf(metrics, 'wundr_ws_messages_received_total')).toEqual([
    'wundr_ws_messages_received_total{message_type="ping"} 3',
  ])
  expect(await linesOf(metrics, 'wundr_channel_messages_received_total')).toEqual([
    'wundr_channel_messages_received_total{channel="websocket",message_type="ping"} 1',
    'wundr_channel_messages_received_total{channel="socket.io",message_type="ping"} 2',
    'wundr_channel_messages_received_total{channel="rest",message_type="GET /api/sessions"} 1',
    'wundr_channel_messages_received_total{channel="neolith",message_type="task"} 3',
  ])
  expect(await linesOf(metrics, 'wundr_channel_errors_total')).toEqual([
    'wundr_channel_errors_total{channel="rest",error_type="http_404"} 1',
  ])
})

test('Neolith is a channel while this node speaks to it', async () => {
  const metrics = createMetrics()
  metrics.neolith.watch({ breaker: () => 'closed', reporting: () => true, open: () => 0 })
  metrics.neolith.called('heartbeat', 'ok', 0.02)
  metrics.neolith.called('heartbeat', 'server_error', 0.02)
  metrics.neolith.called('heartbeat', 'circuit_open', 0)
  metrics.neolith.written()

  expect(await linesOf(metrics, 'wundr_channel_active')).toEqual(['wundr_channel_active{channel_type="neolith"} 1'])
  expect(await linesOf(metrics, 'wundr_channel_messages_sent_total')).toEqual([
    'wundr_channel_messages_sent_total{channel="neolith",message_type="message"} 1',
  ])
  expect(await linesOf(metrics, 'wundr_channel_errors_total')).toEqual([
    'wundr_channel_errors_total{channel="neolith",error_type="server_error"} 1',
    'wundr_channel_errors_total{channel="neolith",error_type="circuit_open"} 1',
  ])
  expect(await linesOf(metrics, 'wundr_channel_message_latency_seconds_count')).toEqual([
    'wundr_channel_message_latency_seconds_count{channel="neolith"} 2',
  ])
})

test('wundr_plugin_*: plugins show what they were used for, how it went, how long they took to load, and how many there are', async () => {
  const metrics = createMetrics()
  metrics.plugins.watch(() => 2)
  metrics.plugins.watch(() => 1)
  metrics.plugins.ran({ name: 'files', use: 'load', seconds: 0.3 })
  metrics.plugins.ran({ name: 'files', use: 'load', seconds: 9, error: 'unreachable' })
  metrics.plugins.ran({ name: 'files', use: 'call', seconds: 0.2 })
  metrics.plugins.ran({ name: 'check.sh', use: 'PreToolUse', seconds: 10, error: 'timeout' })

  const files = 'plugin_name="files",hook="call",status="success"'
  const check = 'plugin_name="check.sh",hook="PreToolUse"'
  expect(await linesOf(metrics, 'wundr_plugin_active')).toEqual(['wundr_plugin_active 3'])
  expect(await linesOf(metrics, 'wundr_plugin_execution_total')).toEqual([
    `wundr_plugin_execution_total{${files}} 1`,
    `wundr_plugin_execution_total{${check},status="timeout"} 1`,
  ])
  expect(await linesOf(metrics, 'wundr_plugin_execution_duration_seconds_sum')).toContain(
    `wundr_plugin_execution_duration_seconds_sum{${files}} 0.2`,
  )
  expect(await linesOf(metrics, 'wundr_plugin_errors_total')).toEqual([
    'wundr_plugin_errors_total{plugin_name="files",hook="load",error_type="unreachable"} 1',
    `wundr_plugin_errors_total{${check},error_type="timeout"} 1`,
  ])
  expect(await linesOf(metrics, 'wundr_plugin_load_duration_seconds_sum')).toEqual([
    'wundr_plugin_load_duration_seconds_sum{plugin_name="files"} 0.3',
  ])
})

test('a process that is no edge says nothing of WebSockets', async () => {
  const metrics = createMetrics()
  metrics.worker.commit('ok')

  const { body } = await metrics.page()

  expect(body).toContain('orchestrator_commits_total{outcome="ok"} 1')
  expect(body).not.toContain('wundr_ws_')
})

test('people who are waited for, and what the charter said, are counted', async () => {
  const metrics = createMetrics()
  metrics.worker.watchApprovals(() => 3)

  metrics.worker.verdict('ask')
  metrics.worker.approval('rejected', 70)

  expect(await linesOf(metrics, 'orchestrator_approvals_waiting')).toEqual(['orchestrator_approvals_waiting 3'])
  expect(await linesOf(metrics, 'orchestrator_charter_verdicts_total')).toContain(
    'orchestrator_charter_verdicts_total{decision="ask"} 1',
  )
  expect(await linesOf(metrics, 'orchestrator_approval_wait_seconds_sum')).toContain(
    'orchestrator_approval_wait_seconds_sum{outcome="rejected"} 70',
  )
})

test('a budget shows how much of it is used, and what became of whoever asked for more', async () => {
  const metrics = createMetrics()
  const daily = { scope: 'orchestrator', id: 'orch', period: 'daily' }
  metrics.budgets.utilization(daily, 40)
  metrics.budgets.utilization(daily, 62.5)
  metrics.budgets.utilization({ ...daily, scope: 'tenant', id: 'acme' }, 99)
  metrics.budgets.refused(daily)
  metrics.budgets.alerted('orchestrator', 75)
  metrics.budgets.unsettled()
  metrics.budgets.unwritten(3)
  metrics.budgets.webhook('delivered')

  const { body } = await metrics.page()

  for (const line of [
    'orchestrator_budget_utilization_percent{orchestrator_id="orch",period="daily"} 62.5',
    'orchestrator_budget_refusals_total{scope="orchestrator",period="daily"} 1',
    'orchestrator_budget_alerts_total{scope="orchestrator",threshold="75"} 1',
    'orchestrator_budget_unsettled_total 1',
    'orchestrator_budget_unwritten_total 3',
    'orchestrator_budget_webhooks_total{outcome="delivered"} 1',
  ]) {
    expect(body).toContain(`${line}\n`)
  }
  expect(body).not.toContain('acme')
})

test('a memory shows how much it holds, how it is searched, and how often a conversation was summed up', async () => {
  const metrics = createMetrics()
  metrics.memory.measured([{ tier: 'semantic', orchestratorId: 'orch', items: 9, bytes: 90 }])
  metrics.memory.measured([{ tier: 'semantic', orchestratorId: 'orch', items: 2, bytes: 30 }])
  metrics.memory.searched('all', 'orch', 0.02)
  metrics.memory.sizeKnown(false)
  metrics.memory.sizeKnown(true)

  const { body } = await metrics.page()

  for (const line of [
    'wundr_memory_entries_total{tier="semantic",orchestrator_id="orch"} 2',
    'wundr_memory_bytes{tier="semantic"} 30',
    'wundr_memory_searches_total{orchestrator_id="orch"} 1',
    'wundr_memory_search_latency_seconds_sum{tier="all"} 0.02',
    'wundr_memory_cache_misses_total{tier="all"} 1',
    'wundr_memory_cache_hits_total{tier="all"} 1',
  ]) {
    expect(body).toContain(line)
  }
})

test('a part that does not work is 0 on the page, and a folder that is not there is silent', async () => {
  const metrics = createMetrics()
  const healthy = { status: 'healthy', durationMs: 1 } as const
  const unhealthy = { status: 'unhealthy', durationMs: 5_000 } as const
  metrics.watchParts(async () => ({ status: 'degraded', checks: { redis: healthy, database: unhealthy } }))
  metrics.watchFolders({ workspaces: '.', database: './no-such-folder' })

  expect(await linesOf(metrics, 'orchestrator_part_up')).toEqual([
    'orchestrator_part_up{part="redis"} 1',
    'orchestrator_part_up{part="database"} 0',
  ])
  const [free, ...others] = await linesOf(metrics, 'orchestrator_disk_free_bytes')
  expect(free).toMatch(/^orchestrator_disk_free_bytes\{folder="workspaces"\} [1-9]\d+/)
  expect(others).toEqual([])
})

test('wundr_memory_compaction_total counts conversations whose beginning was summed up', async () => {
  const metrics = createMetrics()
  const session = { orchestratorId: 'o', type: 'llm' } as const
  const compacted = { type: 'context_compacted', ...base, metadata: { model: 'm', ...usage } }
  const meter = metrics.worker.openMeter()

  for (let n = 0; n < 2; n++) meter.recorded(session, compacted as unknown as Parameters<typeof meter.recorded>[1])

  expect(await linesOf(metrics, 'wundr_memory_compaction_total')).toEqual([
    'wundr_memory_compaction_total{tier="scratchpad",strategy="summarize-and-archive"} 2',
  ])
})

test('wundr_memory_search_latency_seconds holds how long searches took, by tier', async () => {
  const metrics = createMetrics()

  metrics.memory.searched('episodic', 'o', 0.25)

  expect(await linesOf(metrics, 'wundr_memory_search_latency_seconds_sum')).toEqual([
    'wundr_memory_search_latency_seconds_sum{tier="episodic"} 0.25',
  ])
})
