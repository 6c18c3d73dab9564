/**
 * The list of what works for clients of the reference: complete, consistent, and the page that people read is up to date.
 */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { type CompatibilityRow, mistakesIn, PAGE, readFile, readRows, renderPage } from '../../scripts/compatibility.js'

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

test('every row of the contract and every metric of the reference has its state', () => {
  const ids = readRows().map(({ id }) => id)

  expect(ids.sort()).toEqual([...CONTRACT.flatMap(idsOf), ...UNNUMBERED, ...metricNames].sort())
})

test('no row claims more than it shows, and each is named by a test of its own', () => {
  expect(mistakesIn(readRows(), readFile)).toEqual([])
})

test('the page says what the rows say; if not: npx tsx scripts/compatibility.ts', () => {
  expect(readFileSync(PAGE, 'utf8')).toBe(renderPage(readRows()))
})

const THIS_FILE = 'test/unit/compatibility.test.ts'
/** Not written out: it would be named then. */
const UNNAMED = ['W', '00'].join('-')
const row: CompatibilityRow = {
  id: 'W-01',
  area: 'Connection',
  promise: 'It is so.',
  state: 'works',
  tests: [THIS_FILE],
}

test.each<[string, readonly CompatibilityRow[], string]>([
  ['an id that is there twice', [row, row], 'W-01 is there twice'],
  ['a state of its own', [{ ...row, state: 'maybe' as 'works' }], 'W-01 has the unknown state maybe'],
  ['half a sentence', [{ ...row, promise: 'It' }], 'W-01 promises no full sentence'],
  ['works without a test', [{ ...row, tests: [] }], 'W-01 says "works" and names no test'],
  ['partly without a test', [{ ...row, state: 'partly', tests: [] }], 'W-01 says "partly" and names no test'],
  ['tests of what is not there', [{ ...row, state: 'not yet' }], 'W-01 says "not yet" and names tests'],
  [
    'a test that is gone',
    [{ ...row, tests: ['test/gone.test.ts'] }],
    'W-01 names test/gone.test.ts, which is no test file',
  ],
  ['a row that its tests do not name', [{ ...row, id: UNNAMED }], `${UNNAMED} is named by none of its tests`],
  ['a file that is no test', [{ ...row, tests: ['package.json'] }], 'W-01 names package.json, which is no test file'],
])('%s is found', (_mistake, rows, sentence) => {
  expect(mistakesIn(rows, readFile)).toEqual([sentence])
})

test('a row and its notes survive the table', () => {
  const page = renderPage([{ ...row, note: 'Either a|b or `c_*`.' }])

  expect(page).toContain('| Connection | 1 | 0 | 0 |')
  expect(page).toContain(`It is so. *Either a\\|b or \`c_*\`.* | [compatibility](../${THIS_FILE}) |`)
})
