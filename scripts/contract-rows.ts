/**
 * The ids of all rows of the contract: what the reference's documentation and code promise, section by section, and its
 * metrics by name. Rows of the compatibility page are judged by this list.
 */

/** First and last number of each run of rows in the contract. */
const CONTRACT: readonly (readonly [series: string, first: number, last: number])[] = [
  ['W', 1, 7],
  ['W', 10, 20],
  ['W', 30, 45],
  ['W', 50, 52],
  ['W', 60, 68],
  ['A', 1, 10],
  ['S', 1, 3],
  ['H', 1, 10],
  ['C', 1, 9],
  ['C', 20, 27],
  ['X', 1, 13],
  ['M', 1, 10],
  ['B', 1, 11],
  ['G', 1, 9],
  ['D', 1, 18],
  ['N', 1, 8],
  ['P', 1, 7],
]
const UNNUMBERED = ['V2', 'WUNDR', 'ENV', 'FILES', 'TOOLS', 'MET', 'WEB']

/** The families of the reference, by what their names begin with. */
const METRICS: Readonly<Record<string, string>> = {
  orchestrator_:
    'sessions_active tokens_used_total message_latency_seconds tool_invocations_total federation_delegations_total node_load errors_total budget_utilization_percent',
  wundr_agent_: 'spawned_total running completed_total failed_total duration_seconds',
  wundr_session_: 'duration_seconds tokens_prompt_total tokens_completion_total cost_dollars_total iterations_total',
  wundr_memory_:
    'entries_total searches_total search_latency_seconds cache_hits_total cache_misses_total compaction_total bytes',
  wundr_tool_: 'execution_duration_seconds execution_total errors_total queue_depth',
  wundr_ws_:
    'connections_active connections_total messages_received_total messages_sent_total message_size_bytes errors_total session_subscriptions',
  wundr_model_:
    'requests_total request_duration_seconds request_tokens_total cost_dollars_total errors_total rate_limited_total',
  wundr_queue_: 'depth processing_duration_seconds enqueued_total dequeued_total dropped_total',
  wundr_process_:
    'memory_heap_bytes memory_rss_bytes memory_external_bytes cpu_user_seconds_total cpu_system_seconds_total event_loop_lag_seconds uptime_seconds',
  wundr_: 'request_duration_summary_seconds token_usage_summary channel_* plugin_*',
}
const metricNames = Object.entries(METRICS).flatMap(([start, ends]) => ends.split(' ').map((end) => `${start}${end}`))

const idsOf = ([series, first, last]: (typeof CONTRACT)[number]): string[] =>
  Array.from({ length: last - first + 1 }, (_, index) => `${series}-${String(first + index).padStart(2, '0')}`)

export const contractIds = (): readonly string[] => [...CONTRACT.flatMap(idsOf), ...UNNUMBERED, ...metricNames]
