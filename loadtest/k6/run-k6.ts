/**
 * Finds k6 and runs a script of this folder with it.
 */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { forget, temporaryFolder, watch } from '../../src/chaos/servers/watchdog.js'
import type { Teardown } from '../../src/chaos/teardown.js'
import { cpuTimes } from '../measure/processes.js'

/** k6 collects garbage less often: there is memory, and the processor is what is short. */
const GARBAGE_COLLECTION = '400'
const CPU_POLL_MS = 500
/** Of k6's output, for the message when it fails. */
const SHOWN_CHARS = 2_000

export interface K6Cluster {
  readonly urls: readonly string[]
  readonly tokens: readonly string[]
}

/** What `commands.js` writes. Latency in ms, sampled. */
export interface K6Summary {
  readonly sent: number
  readonly answered: number
  readonly unanswered: number
  readonly notSent: number
  readonly doubled: number
  readonly disordered: number
  readonly errors: number
  readonly latency: { readonly p50: number; readonly p99: number; readonly max: number; readonly samples: number }
}

export interface K6Result {
  readonly summary: K6Summary
  /** k6's own CPU time. */
  readonly cpuUs: number
  /** Empty when every threshold was kept. */
  readonly faults: readonly string[]
}

export type K6Script = '10k.js' | 'smoke.js'

/** K6 in the environment, then the PATH, then where `go install` puts it; undefined when it is nowhere. */
export function findK6(): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), join(goPath(), 'bin')]
  const candidates = [process.env.K6 ?? '', ...folders.map((folder) => join(folder, 'k6'))]
  return candidates.find((path) => path !== '' && existsSync(path))
}

export const k6Version = (k6: string): string =>
  /v(\S+)/.exec(execFileSync(k6, ['version'], { encoding: 'utf8' }))?.[1] ?? 'unknown'

function goPath(): string {
  try {
    return execFileSync('go', ['env', 'GOPATH'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return join(homedir(), 'go') // No Go here: the place where it would put programs.
  }
}

/** @throws Error with the end of k6's output when it made no summary. */
export async function runK6(
  teardown: Teardown,
  k6: string,
  script: K6Script,
  cluster: K6Cluster,
  load: { readonly rate: number; readonly seconds: number },
): Promise<K6Result> {
  const folder = temporaryFolder()
  teardown.add('the files of k6', () => folder.remove())
  const files = { cluster: join(folder.path, 'cluster.json'), summary: join(folder.path, 'summary.json') }
  writeFileSync(files.cluster, JSON.stringify(cluster))
  const { code, output, cpuUs } = await execute(teardown, k6, script, {
    CLUSTER_FILE: files.cluster,
    SUMMARY_FILE: files.summary,
    RATE: String(load.rate),
    SECONDS: String(load.seconds),
  })
  if (!existsSync(files.summary)) throw new Error(`k6 ended with ${code}:\n${output.slice(-SHOWN_CHARS)}`)
  const summary = JSON.parse(readFileSync(files.summary, 'utf8')) as K6Summary
  return { summary, cpuUs, faults: code === 0 ? [] : faultsOf(summary, load) }
}

interface Execution {
  readonly code: number | null
  readonly output: string
  readonly cpuUs: number
}

function execute(
  teardown: Teardown,
  k6: string,
  script: K6Script,
  env: Readonly<Record<string, string>>,
): Promise<Execution> {
  const file = fileURLToPath(new URL(script, import.meta.url))
  const child = spawn(k6, ['run', '--no-usage-report', '--quiet', '--no-color', file], {
    env: { ...process.env, GOGC: GARBAGE_COLLECTION, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const pid = child.pid ?? 0
  watch(`KILL=${pid}`)
  teardown.add('k6', () => void child.kill('SIGKILL'))
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text) => (output = `${output}${text}`.slice(-SHOWN_CHARS)))
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

function faultsOf(
  summary: K6Summary,
  { rate, seconds }: { readonly rate: number; readonly seconds: number },
): string[] {
  const wrong: readonly (readonly [number, string])[] = [
    [summary.unanswered, 'commands without an answer'],
    [summary.notSent, 'commands were due and never sent: the rate is too high'],
    [summary.doubled, 'answers came twice'],
    [summary.disordered, 'answers came out of order'],
    [summary.errors, 'errors'],
  ]
  const faults = wrong.filter(([count]) => count > 0).map(([count, what]) => `k6: ${count} ${what}`)
  return faults.length > 0 ? faults : [`k6 sent ${summary.sent} of ${rate * seconds} commands: it was too slow itself`]
}
