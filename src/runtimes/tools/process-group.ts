/**
 * A program and everything it starts, as one process group that can be ended as a whole.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import type { Watch } from './supervisor.js'

/** Time to clean up between SIGTERM and SIGKILL. */
const KILL_GRACE_MS = 2_000
const POLL_MS = 20
/** Output that is still in the pipes takes a moment; longer only a process that left the group (setsid) holds them. */
const DRAIN_MS = 1_000

export interface ProcessOptions {
  readonly command: readonly [string, ...string[]]
  readonly cwd: string
  /** The whole environment; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>
  /** Told of the group before its program begins; nobody watches when left out. */
  readonly watch?: Watch | undefined
  /** Leaves the program's stdin open, for `write`; it is closed when left out. */
  readonly takesInput?: boolean
  onStdout(chunk: Buffer): void
  onStderr(chunk: Buffer): void
}

export interface Exit {
  /** Exit code; 128 + signal number, as shells say it, when a signal ended the program. */
  readonly code: number
}

const SIGNAL_NUMBERS: Readonly<Partial<Record<NodeJS.Signals, number>>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGABRT: 6,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGTERM: 15,
}

/** Begins the program when it is told to, and ends when whoever should tell it is gone. The program's stdin is closed. */
const GATE = ['bash', '-c', 'read -r && exec "$@" </dev/null', 'gate'] as const
/** The same, and what follows the first line is the program's. */
const OPEN_GATE = ['bash', '-c', 'read -r && exec "$@"', 'gate'] as const

export class ProcessGroup {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #watch: Watch | undefined
  readonly #exit: Promise<Exit>
  readonly #closed: Promise<void>
  #ending: Promise<void> | undefined

  /** Starts the program as the leader of a group of its own. @throws when nobody can watch over it. */
  constructor(options: ProcessOptions) {
    const [program, ...args] = [...(options.takesInput ? OPEN_GATE : GATE), ...options.command]
    this.#child = spawn(program, args, { cwd: options.cwd, env: { ...options.env }, detached: true, stdio: 'pipe' })
    this.#watch = options.watch
    this.#child.stdout.on('data', options.onStdout)
    this.#child.stderr.on('data', options.onStderr)
    this.#closed = new Promise((resolve) => this.#child.once('close', () => resolve()))
    this.#exit = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('exit', (code, signal) =>
        resolve({ code: code ?? 128 + ((signal && SIGNAL_NUMBERS[signal]) || 0) }),
      )
    })
    this.#begin(options.takesInput ?? false)
  }

  /** A worker that is killed at any moment leaves either a watched group, or one that never began. */
  #begin(takesInput: boolean): void {
    const { pid, stdin } = this.#child
    // It could not be started, or was killed at once: both are told by its end.
    stdin.on('error', () => undefined)
    try {
      if (pid !== undefined) this.#watch?.add(pid)
    } catch (error) {
      stdin.destroy()
      this.#exit.catch(() => undefined)
      throw error
    }
    stdin.write('\n')
    if (!takesInput) stdin.end()
  }

  /** For a program that takes input, which has an end after what is `last`. What one that has ended does not read is lost. */
  write(text: string, last?: 'last'): void {
    if (last) this.#child.stdin.end(text)
    else this.#child.stdin.write(text)
  }

  /**
   * Resolves when the program has ended, all its output has been passed on and nothing of its group is left: what it
   * put into the background ends with it. Rejects when the program could not be started.
   */
  async ended(): Promise<Exit> {
    const exit = await this.#exit
    await this.end()
    const giveUp = setTimeout(() => this.#dropPipes(), DRAIN_MS)
    await this.#closed
    clearTimeout(giveUp)
    return exit
  }

  #dropPipes(): void {
    this.#child.stdout.destroy()
    this.#child.stderr.destroy()
  }

  /** Ends the whole group: SIGTERM, then SIGKILL. May be called twice. */
  end(): Promise<void> {
    this.#ending ??= this.#end()
    return this.#ending
  }

  async #end(): Promise<void> {
    const deadline = performance.now() + KILL_GRACE_MS
    this.#signal('SIGTERM')
    while (this.#signal(0) && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
    this.#signal('SIGKILL')
    if (this.#child.pid !== undefined) this.#watch?.drop(this.#child.pid)
  }

  /** Whether the group still had a member. */
  #signal(signal: NodeJS.Signals | 0): boolean {
    const leader = this.#child.pid
    if (leader === undefined) return false
    try {
      process.kill(-leader, signal)
      return true
    } catch {
      return false // ESRCH: the group is empty.
    }
  }
}
