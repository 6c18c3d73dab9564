/**
 * A process of the service under test: started from `dist` as a user would, observed through its log, and killable.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { forget, watch } from '../../src/chaos/servers/watchdog.js'

export const PROGRAM = fileURLToPath(new URL('../../dist/main.js', import.meta.url))

/** A start that takes a second alone takes many beside others; a test that passes never waits for this. */
const DEFAULT_WAIT_MS = 60_000
const STOP_TIMEOUT_MS = 10_000
/** What a process printed last is read soon after its end, unless another one has inherited its output. */
const LAST_WORDS_MS = 2_000
/** Enough to explain a failure; a chatty process must not fill the test's memory. */
const MAX_LINES = 5_000

/** Settings that the developer's own environment must not leak into the process under test. */
const SETTING = /^(DAEMON_|REDIS_|DATABASE_|CLUSTER_|OPENAI_|ANTHROPIC_|METRICS_|HEALTH_|LOG_|WORKER_|SHARD_)/

export interface ProcessOptions {
  /** Arguments after `orchestrator-daemon`, for example `['start', '--role', 'worker']`. */
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

export class ClusterProcess {
  readonly lines: string[] = []
  readonly #child: ChildProcess
  readonly #ended: Promise<number | NodeJS.Signals>
  #hasEnded = false
  #wake: (() => void)[] = []

  /** Starts the process. Throws when the build of this run failed, rather than testing an older one. */
  constructor(options: ProcessOptions) {
    if (process.env.TEST_BUILD_ERROR) throw new Error(`the build failed:\n${process.env.TEST_BUILD_ERROR}`)
    this.#child = spawn(process.execPath, [PROGRAM, ...options.args], {
      cwd: options.cwd,
      env: { ...cleanEnvironment(), LOG_FORMAT: 'json', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const { pid } = this.#child
    if (pid !== undefined) watch(`KILL=${pid}`)
    this.#ended = this.#end()
    this.#collect(this.#child.stdout)
    this.#collect(this.#child.stderr)
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the process did not start')
    return this.#child.pid
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Exit code, or the signal that ended the process, when all that it printed is in `lines`. */
  get ended(): Promise<number | NodeJS.Signals> {
    return this.#ended
  }

  /** The first output line, past or future, that `pattern` matches. Throws with the output when the process ends before. */
  async waitForLine(pattern: RegExp, timeoutMs = DEFAULT_WAIT_MS): Promise<RegExpMatchArray> {
    const deadline = performance.now() + timeoutMs
    for (let index = 0; ; index++) {
      while (index >= this.lines.length) {
        if (this.#hasEnded) throw new Error(`the process ended before ${pattern}:\n${this.tail()}`)
        const leftMs = deadline - performance.now()
        if (leftMs <= 0) throw new Error(`no line matched ${pattern} within ${timeoutMs} ms:\n${this.tail()}`)
        await this.#nextChange(leftMs)
      }
      const match = this.lines[index]?.match(pattern)
      if (match) return match
    }
  }

  /** Sends a signal to this process alone: SIGKILL is a crash, SIGSTOP a freeze, SIGCONT its end. */
  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Ends the process, gently at first, and returns how it ended. */
  async stop(): Promise<number | NodeJS.Signals> {
    if (this.running) {
      this.#child.kill('SIGCONT')
      this.#child.kill('SIGTERM')
    }
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    const result = await this.#ended
    clearTimeout(timer)
    return result
  }

  /** The end of the output, for the message of a failed assertion. */
  tail(count = 40): string {
    return this.lines.slice(-count).join('\n')
  }

  async #end(): Promise<number | NodeJS.Signals> {
    const closed = new Promise<void>((resolve) => this.#child.once('close', () => resolve()))
    const result = await new Promise<number | NodeJS.Signals>((resolve) =>
      this.#child.once('exit', (code, signal) => resolve(code ?? signal ?? 'SIGKILL')),
    )
    if (this.#child.pid !== undefined) forget(`KILL=${this.#child.pid}`)
    // Not at `exit`: what was printed last may still be on its way then.
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, LAST_WORDS_MS).unref())])
    this.#hasEnded = true
    this.#notify()
    return result
  }

  #collect(stream: NodeJS.ReadableStream | null): void {
    if (!stream) return
    createInterface({ input: stream }).on('line', (line) => {
      if (this.lines.length < MAX_LINES) this.lines.push(line)
      this.#notify()
    })
  }

  #notify(): void {
    const waiting = this.#wake
    this.#wake = []
    for (const wake of waiting) wake()
  }

  #nextChange(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs)
      this.#wake.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }
}

/** The environment of the developer without the settings in it. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !SETTING.test(name)))
}
