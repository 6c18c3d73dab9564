/**
 * A tiny process beside this one that watches over the process groups of commands, because it must act when this process
 * cannot: frozen, cut off or killed. See `supervisor.sh`.
 *
 *   commands ── +group, -group ──┐
 *   beat thread ── b<ms> ────────┴─▶ named pipe ──▶ supervisor ── STOP, CONT, KILL ──▶ process groups
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const SCRIPT = fileURLToPath(new URL('./supervisor.sh', import.meta.url))

export interface SupervisorOptions {
  /**
   * Has every acknowledged beat written into this pipe, as `b<ms>` and a newline, and tells for how many ms commands may
   * run until the first. 0 where nobody beats: commands then end with this process, and are never suspended.
   */
  readonly relayBeats: (pipe: string) => number
}

/** Watches over process groups. Both are written before they return: what follows may kill this process. */
export interface Watch {
  add(group: number): void
  drop(group: number): void
}

export class Supervisor {
  readonly #groups = new Set<number>()
  #running: Promise<Watch> | undefined
  #process: ChildProcess | undefined
  #pipe: number | undefined

  constructor(private readonly options: SupervisorOptions) {}

  /** Starts the process with the first command. @throws when it cannot be started: no command may run then. */
  watch(): Promise<Watch> {
    this.#running ??= this.#start().catch((error: unknown) => {
      this.#running = undefined
      throw error
    })
    return this.#running
  }

  /** Kills what still runs and ends the process. May be called twice. */
  async stop(): Promise<void> {
    await this.#running?.catch(() => undefined)
    if (this.#pipe !== undefined) this.#write('q')
    this.#close()
  }

  async #start(): Promise<Watch> {
    const path = join(await mkdtemp(join(tmpdir(), 'supervisor-')), 'words')
    await promisify(execFile)('mkfifo', ['-m', '600', path])
    // Opened for both, so that it waits for nobody: what is written before the other side is there stays in the pipe.
    this.#pipe = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
    const firstMs = this.options.relayBeats(path)
    // A group of its own: Ctrl-C at the worker's terminal is not meant for it.
    const env = { PATH: process.env.PATH }
    const child = spawn('bash', [SCRIPT, path, String(firstMs)], { env, detached: true, stdio: 'ignore' })
    this.#process = child
    await new Promise((resolve, reject) => child.once('spawn', () => resolve(undefined)).once('error', reject))
    child.unref()
    child.once('exit', () => this.#ended(child))
    return {
      add: (group) => {
        this.#groups.add(group)
        this.#write(`+${group}`)
      },
      drop: (group) => {
        if (this.#groups.delete(group) && this.#pipe !== undefined) this.#write(`-${group}`)
      },
    }
  }

  /** Somebody killed it: nothing may run unwatched, and the next command starts another one. */
  #ended(child: ChildProcess): void {
    if (this.#process !== child) return
    this.#close()
    for (const group of this.#groups) {
      try {
        process.kill(-group, 'SIGKILL')
      } catch {
        // It ended at the same time.
      }
    }
  }

  #close(): void {
    const pipe = this.#pipe
    this.#process = undefined
    this.#pipe = undefined
    this.#running = undefined
    if (pipe !== undefined) closeSync(pipe)
  }

  /** @throws when the pipe is full or gone: nobody watches. */
  #write(line: string): void {
    if (this.#pipe === undefined) throw new Error('the supervisor of commands has ended')
    writeSync(this.#pipe, `${line}\n`)
  }
}
