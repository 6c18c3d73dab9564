/**
 * Runs a script of this folder and says what it found.
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { forget, temporaryFolder, watch } from '../../src/chaos/servers/watchdog.js'
import type { Teardown } from '../../src/chaos/teardown.js'
import { cpuTimes } from '../measure/processes.js'
import type { K6Runner } from './runner.js'
import { Timeline, type TimelinePoint } from './timeline.js'

/** k6 collects garbage less often: there is memory, and the processor is what is short. */
const GARBAGE_COLLECTION = '400'
const CPU_POLL_MS = 500
/** Of its output, for the message when it fails. */
const SHOWN_CHARS = 2_000
/** k6's exit code when the script gave up by itself. */
const ABORTED = 108

export type K6Script = '10k.js' | 'smoke.js' | 'soak.js' | 'stream.js' | 'storm.js'

export interface K6Cluster {
  readonly urls: readonly string[]
  readonly tokens: readonly string[]
}

/** What a script writes: its counters by name, and latency in ms. */
export interface K6Summary {
  readonly counts: Readonly<Record<string, number>>
  readonly latency: { readonly p50: number; readonly p99: number; readonly max: number; readonly samples: number }
}

export interface K6Load {
  readonly rate: number
  readonly seconds: number
}

export interface K6Result {
  readonly summary: K6Summary
  readonly timeline: readonly TimelinePoint[]
  /** Its own CPU time. */
  readonly cpuUs: number
  /** Empty when every threshold was kept. */
  readonly faults: readonly string[]
}

/** @throws Error with the reason when the cluster was not ready, and with the end of the output when it made no summary. */
export async function runK6(
  teardown: Teardown,
  runner: K6Runner,
  script: K6Script,
  cluster: K6Cluster,
  load: K6Load,
): Promise<K6Result> {
  const folder = temporaryFolder()
  teardown.add('the files of k6', () => folder.remove())
  const files = { cluster: join(folder.path, 'cluster.json'), summary: join(folder.path, 'summary.json') }
  writeFileSync(files.cluster, JSON.stringify(cluster))
  const timeline = new Timeline()
  const { code, output, cpuUs } = await execute(teardown, runner, script, timeline, {
    CLUSTER_FILE: files.cluster,
    SUMMARY_FILE: files.summary,
    RATE: String(load.rate),
    SECONDS: String(load.seconds),
  })
  if (code === ABORTED) throw new Error(/the cluster is not ready: .*/.exec(output)?.[0] ?? output)
  if (!existsSync(files.summary)) throw new Error(`${runner.name} ended with ${code}:\n${output}`)
  const { latency, ...counts } = JSON.parse(readFileSync(files.summary, 'utf8'))
  const summary: K6Summary = { counts, latency }
  const faults = code === 0 ? [] : faultsOf(summary, load, output)
  return { summary, timeline: timeline.points, cpuUs, faults }
}

interface Execution {
  readonly code: number | null
  readonly output: string
  readonly cpuUs: number
}

function execute(
  teardown: Teardown,
  { file, args }: K6Runner,
  script: K6Script,
  timeline: Timeline,
  env: Readonly<Record<string, string>>,
): Promise<Execution> {
  const path = fileURLToPath(new URL(script, import.meta.url))
  const child = spawn(file, [...args, path], {
    env: { ...process.env, GOGC: GARBAGE_COLLECTION, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const pid = child.pid ?? 0
  watch(`KILL=${pid}`)
  teardown.add('k6', () => void child.kill('SIGKILL'))
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      if (!timeline.read(line)) output = `${output}${line}\n`.slice(-SHOWN_CHARS)
    })
  }
  let cpuUs = 0
  const poll = setInterval(() => {
    cpuUs = Math.max(cpuUs, cpuTimes({ k6: [pid] }).k6 ?? 0)
  }, CPU_POLL_MS)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      clearInterval(poll)
      forget(`KILL=${pid}`)
      resolve({ code, output, cpuUs })
    })
  })
}

/** What must not have happened, by counter. */
const WRONG: Readonly<Record<string, string>> = {
  unanswered: 'commands without an answer',
  notSent: 'commands were due and never sent: the rate is too high',
  doubled: 'answers came twice',
  disordered: 'messages came out of order',
  missing: 'pieces of text are missing',
  gaps: 'gaps in the numbers of events',
  resets: 'sessions were reset',
  errors: 'errors',
}

function faultsOf({ counts }: K6Summary, { rate, seconds }: K6Load, output: string): string[] {
  const faults = Object.entries(WRONG).flatMap(([name, what]) => {
    const count = counts[name] ?? 0
    return count > 0 ? [`k6: ${count} ${what}`] : []
  })
  if (faults.length > 0) return faults
  const crossed = /thresholds on metrics '([^']*)'/.exec(output)?.[1] ?? 'unknown'
  return [`k6: ${counts.sent} were sent at ${rate} for ${seconds} s, and a threshold was crossed: ${crossed}`]
}
