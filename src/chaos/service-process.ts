/**
 * A process of the service, started from `dist` as a user starts it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { allSettings } from '../config/schema.js'
import type { NodeId } from '../protocol/ids.js'
import { forget, watch } from './servers/watchdog.js'

// The built program, also when this file runs from its source.
const PROGRAM = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../../dist/main.js' : '../main.js', import.meta.url),
)

/** The first start on a cold and busy machine makes a database. */
const READY_TIMEOUT_MS = 60_000
const STOP_TIMEOUT_MS = 8_000
/** Of a process's log, for the message when something goes wrong. */
const KEPT_LINES = 30

export interface ServiceOptions {
  readonly name: string
  readonly role: 'all' | 'edge' | 'worker' | 'coordinator'
  /** Where it runs; a `.env` of somebody else must not stand there. */
  readonly folder: string
  readonly env: Readonly<Record<string, string>>
  /** Told of each line of its log. */
  readonly onLine?: (line: string) => void
}

interface ReadyLine {
  readonly msg?: string
  readonly node?: NodeId
  readonly port?: number
  readonly metricsPort?: number
}

export class ServiceProcess {
  readonly name: string
  readonly #child: ChildProcess
  readonly #lines: string[] = []
  readonly #exited: Promise<void>
  #ready: ReadyLine | undefined

  constructor(options: ServiceOptions) {
    this.name = options.name
    const args = [PROGRAM, 'start', '--name', options.name, '--role', options.role]
    this.#child = spawn(process.execPath, args, {
      cwd: options.folder,
      env: { ...withoutSettings(process.env), LOG_FORMAT: 'json', METRICS_PORT: '0', DAEMON_PORT: '0', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      // Ctrl-C in the terminal is for the run, which then stops everything in order.
      detached: true,
    })
    this.#exited = new Promise((resolve) => this.#child.once('exit', () => resolve()))
    this.#child.once('error', (error) => this.#lines.push(String(error)))
    if (this.#child.pid !== undefined) watch(`KILL=${this.#child.pid}`)
    for (const stream of [this.#child.stdout, this.#child.stderr]) this.#collect(stream, options.onLine)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Its id in the cluster; known when it is ready. */
  get node(): NodeId {
    return this.#ready?.node ?? ''
  }

  /** For clients; 0 before it is ready. */
  get port(): number {
    return this.#ready?.port ?? 0
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`
  }

  /** Of metrics and of its word whether it is ready; 0 before it is. */
  get metricsPort(): number {
    return this.#ready?.metricsPort ?? 0
  }

  /** Where Prometheus reads; known when it is ready. */
  get metricsUrl(): string {
    return `http://127.0.0.1:${this.#ready?.metricsPort ?? 0}/metrics`
  }

  get running(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Resolves when the process says so. @throws Error with the end of its log when it ends or stays silent instead. */
  async ready(): Promise<void> {
    const deadline = performance.now() + READY_TIMEOUT_MS
    while (this.#ready === undefined) {
      if (!this.running || performance.now() > deadline) throw new Error(`${this.name} did not start:\n${this.tail()}`)
      await sleep(10)
    }
  }

  /** kill -9. */
  async crash(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
    this.#forget()
  }

  /** Sends a signal to a process that still runs. */
  signal(signal: NodeJS.Signals): void {
    if (this.running) this.#child.kill(signal)
  }

  /** Resolves when the process has ended; with the exit code, or null after a signal. */
  async ended(): Promise<number | null> {
    await this.#exited
    this.#forget()
    return this.#child.exitCode
  }

  /** Gently first, then not; in a hurry not gently at all. */
  async stop(hurry = false): Promise<void> {
    if (!this.running) return
    if (hurry) return this.crash()
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    await this.#exited
    clearTimeout(timer)
    this.#forget()
  }

  /** The end of its log. */
  tail(): string {
    return this.#lines.join('\n')
  }

  #forget(): void {
    forget(`KILL=${this.pid}`)
  }

  #collect(stream: NodeJS.ReadableStream | null, onLine: ServiceOptions['onLine']): void {
    if (!stream) return
    createInterface({ input: stream }).on('line', (line) => {
      onLine?.(line)
      this.#lines.push(line)
      if (this.#lines.length > KEPT_LINES) this.#lines.shift()
      if (line.includes('"msg":"ready"')) this.#ready = JSON.parse(line) as ReadyLine
    })
  }
}

/** Settings in the user's shell are for the user's own daemon, not for those of a run. */
function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const settings = new Set(allSettings().flatMap(({ setting }) => [setting.env, ...setting.aliases]))
  return Object.fromEntries(Object.entries(env).filter(([name]) => !settings.has(name)))
}
