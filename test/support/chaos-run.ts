/**
 * `orchestrator-daemon chaos verify` as a user runs it, with a short time and a seed that is printed.
 */
import { spawn } from 'node:child_process'
import { onTestFinished } from 'vitest'
import { forget, watch } from '../../src/chaos/servers/watchdog.js'
import { cleanEnvironment, PROGRAM } from './cluster-process.js'
import { seededRandom } from './random.js'

const MAX_SEED = 2 ** 31 - 1

/** The part of the report that tests look at. */
export interface ChaosReport {
  readonly ok: boolean
  readonly seed: number
  readonly complaints: readonly string[]
  readonly guarantees: readonly {
    readonly guarantee: string
    readonly checked: number
    readonly violated: number
    readonly examples: readonly { readonly what: string }[]
  }[]
  readonly faults: readonly { readonly test: string; readonly found: { readonly commands: number } }[]
  readonly load: { readonly counts: Readonly<Record<string, number>>; readonly open: number }
  readonly figures: {
    readonly seconds: number
    readonly faults: readonly { readonly takeoverMs: { readonly max: number } }[]
  }
}

export interface ChaosRun {
  readonly report: ChaosReport
  readonly code: number | null
  readonly stderr: string
}

/** Runs it to its end. @throws Error with what it said when it prints no report. */
export function runChaos(name: string, ...args: readonly string[]): Promise<ChaosRun> {
  return runChaosIn({}, seededRandom(name).integer(0, MAX_SEED), ...args)
}

/** The same with more in the environment, which its nodes inherit, and with a seed of the caller's. */
export async function runChaosIn(env: NodeJS.ProcessEnv, seed: number, ...args: readonly string[]): Promise<ChaosRun> {
  const { code, stdout, stderr } = await launchChaosIn(env, '--json', '--seed', String(seed), ...args).ended
  try {
    return { report: JSON.parse(stdout) as ChaosReport, code, stderr }
  } catch (cause) {
    throw new Error(`chaos verify printed no report:\n${stderr}`, { cause })
  }
}

export interface LaunchedChaos {
  readonly pid: number
  kill(signal: NodeJS.Signals): void
  /** Resolves when it has said so much on standard error. */
  said(pattern: RegExp): Promise<void>
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>
}

export const launchChaos = (...args: readonly string[]): LaunchedChaos => launchChaosIn({}, ...args)

function launchChaosIn(env: NodeJS.ProcessEnv, ...args: readonly string[]): LaunchedChaos {
  if (process.env.TEST_BUILD_ERROR) throw new Error(`the build failed:\n${process.env.TEST_BUILD_ERROR}`)
  const child = spawn(process.execPath, [PROGRAM, 'chaos', 'verify', ...args], {
    env: { ...cleanEnvironment(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const entry = `KILL=${child.pid ?? 0}` as const
  watch(entry)
  onTestFinished(() => void child.kill('SIGKILL'))
  let stdout = ''
  let stderr = ''
  let heard = (): void => undefined
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    heard()
  })
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      forget(entry)
      resolve({ code, stdout, stderr })
    })
  })
  return {
    pid: child.pid ?? 0,
    kill: (signal) => void child.kill(signal),
    said: (pattern) =>
      new Promise((resolve, reject) => {
        heard = () => (pattern.test(stderr) ? resolve() : undefined)
        heard()
        void ended.then(() => reject(new Error(`it ended before it said ${pattern}:\n${stderr}`)))
      }),
    ended,
  }
}
