/**
 * `npm run test:faults`: the fault suite for long, with its figures judged, and written to loadtest/RESULTS.md.
 *
 *   npm run test:faults -- [--minutes 38] [--rate 600] [--seed n] [--faults T1,T4,…]
 *     [--sockets 2000] [--postgres-away 90] [--sentinel] [--keep]
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { writeResults } from '../../loadtest/results.js'
import { readOptions } from '../usage.js'
import { failuresOf, type LongReport, tablesOf } from './figures.js'

/** The journals of a million commands are compared in memory, a KB or two for each. */
const HEAP = '--max-old-space-size=8192'
const PROGRAM = fileURLToPath(new URL('../../dist/main.js', import.meta.url))

/** More than a hundred faults and a million commands on two cores. */
const DEFAULTS = { minutes: '38', rate: '600' } as const
const USAGE = `npm run test:faults [-- options]      a cluster of processes under load and faults; every guarantee is checked

  --minutes <n>         how long; default ${DEFAULTS.minutes}
  --rate <n>            quick commands a second; default ${DEFAULTS.rate}
  --seed <n>            of the faults and their order; by chance when left out
  --faults <a,b>        only these; \`orchestrator-daemon chaos verify --help\` lists them
  --sockets <n>         connections of the load
  --postgres-away <s>   how long PostgreSQL is away
  --sentinel            Redis with a replica and three Sentinels
  --keep                leave the journals and logs where they are
`

const values = readOptions(USAGE, {
  minutes: { type: 'string', default: DEFAULTS.minutes },
  rate: { type: 'string', default: DEFAULTS.rate },
  seed: { type: 'string' },
  faults: { type: 'string' },
  sockets: { type: 'string' },
  'postgres-away': { type: 'string' },
  sentinel: { type: 'boolean' },
  keep: { type: 'boolean' },
})
const args = Object.entries(values).flatMap(([name, value]) =>
  value === true ? [`--${name}`] : [`--${name}`, `${value}`],
)
const report = await verify(args)
const failures = failuresOf(report)
const command = ['npm run test:faults --', ...args].join(' ')
const { guarantees, faults, seed } = report
writeResults(values.sentinel ? 'faults by Sentinel' : 'faults', command, {
  summary: `${faults.length} faults in ${values.minutes} minutes, seed ${seed}; 4 workers, 3 edges, 2 coordinators.`,
  versions: {},
  tables: tablesOf(report),
  notes: guarantees.filter(({ checked }) => checked === 0).map(({ guarantee }) => `${guarantee} was not tried.`),
  faults: failures,
  figures: report,
})
for (const failure of failures) process.stderr.write(`${failure}\n`)
process.exitCode = failures.length === 0 ? 0 : 1

/** @throws Error when it prints no report. */
async function verify(options: readonly string[]): Promise<LongReport> {
  const size = ['--workers', '4', '--edges', '3', '--json']
  const child = spawn(process.execPath, [HEAP, PROGRAM, 'chaos', 'verify', ...size, ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let stdout = ''
  for await (const text of child.stdout.setEncoding('utf8')) stdout += text
  return JSON.parse(stdout) as LongReport
}
