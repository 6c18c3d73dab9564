/**
 * One private server as a child process: started on a free port, waited for, and ended for certain.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { forget, type Watched, watch } from './watchdog.js'

/** A server that is not ready by then never will be; cold disks and busy machines included. */
const READY_TIMEOUT_MS = 30_000
const READY_POLL_MS = 15
const STOP_TIMEOUT_MS = 5_000
/** Between choosing a free port and listening on it somebody else may take it. */
const PORT_ATTEMPTS = 3
const LOG_TAIL_LINES = 8

export interface ServerCommand {
  readonly file: string
  readonly args: readonly string[]
  readonly folder: string
  readonly logFile: string
  readonly uid?: number
  readonly gid?: number
  /** Ends the server at once; its files are temporary. */
  readonly endSignal: 'KILL' | 'QUIT'
  /** Resolves once the server answers, throws while it does not. */
  readonly probe: () => Promise<void>
}

export class ServerProcess {
  readonly #command: ServerCommand
  #child: ChildProcess | undefined
  #entry: Watched | undefined

  constructor(command: ServerCommand) {
    this.#command = command
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Starts the server and waits until it answers; throws with the end of its log when it does not. */
  async start(): Promise<void> {
    const { file, args, folder, logFile, uid, gid } = this.#command
    const log = openSync(logFile, 'a')
    const child = spawn(file, args, {
      cwd: folder,
      stdio: ['ignore', log, log],
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
    })
    closeSync(log)
    child.unref()
    child.on('error', () => {}) // An unstartable binary shows as a missing pid below.
    this.#child = child
    if (child.pid !== undefined) this.#watch(child.pid)
    await this.#waitUntilReady(child)
  }

  /** Sends a signal to the server itself, as a test of crashes and freezes needs it. Resolves when a fatal one worked. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (!child || hasEnded(child)) return
    child.kill(signal)
    if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await this.#waitUntilEnded(child)
  }

  /** Ends the server within 5 s; may be called twice. */
  async stop(): Promise<void> {
    if (!this.#child || hasEnded(this.#child)) return
    this.#child.kill('SIGCONT')
    await this.kill(`SIG${this.#command.endSignal}`)
  }

  #watch(pid: number): void {
    const entry: Watched = `${this.#command.endSignal}=${pid}`
    this.#entry = entry
    watch(entry)
  }

  async #waitUntilReady(child: ChildProcess): Promise<void> {
    const deadline = performance.now() + READY_TIMEOUT_MS
    for (;;) {
      const reason = await this.#command.probe().then(
        () => undefined,
        (error: unknown) => error,
      )
      if (reason === undefined) return
      if (child.pid === undefined || hasEnded(child) || performance.now() > deadline) {
        await this.stop()
        throw new Error(`${this.#command.file} did not start: ${this.#logTail()}`, { cause: reason })
      }
      await sleep(READY_POLL_MS)
    }
  }

  async #waitUntilEnded(child: ChildProcess): Promise<void> {
    const deadline = performance.now() + STOP_TIMEOUT_MS
    while (!hasEnded(child) && performance.now() < deadline) await sleep(READY_POLL_MS)
    if (!hasEnded(child)) child.kill('SIGKILL')
    if (this.#entry) forget(this.#entry)
    this.#entry = undefined
  }

  #logTail(): string {
    return readFileSync(this.#command.logFile, 'utf8').trim().split('\n').slice(-LOG_TAIL_LINES).join('\n')
  }
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

/** A TCP port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port')
  return address.port
}

/** Runs `start` with a fresh port, again when it fails, because the port may have been taken in between. */
export async function onFreePort<T>(start: (port: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePort())
    } catch (error) {
      if (attempt === PORT_ATTEMPTS) throw error
    }
  }
}
