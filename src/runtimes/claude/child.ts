/**
 * The process of Claude Code: begun like a command of a session (tools/process-group.ts), and like one it is suspended
 * while this worker may have been replaced and ends with it, by whatever way. Unlike a command it reads its stdin.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import type { SpawnedProcess, SpawnOptions } from '@anthropic-ai/claude-agent-sdk'
import type { Watch } from '../tools/supervisor.js'

/** Begins the program when it is told to; `read` takes one line and leaves the rest of stdin to the program. */
const GATE = ['bash', '-c', 'read -r && exec "$@"', 'gate'] as const

export interface Guard {
  /** Words to put before the program; see `detectSandbox`. */
  readonly sandbox: readonly string[]
  /** Nobody watches when left out. */
  readonly watch: Watch | undefined
}

/** @throws when nobody can watch over it. */
export function spawnGuarded({ sandbox, watch }: Guard, { command, args, cwd, env }: SpawnOptions): GuardedChild {
  const [program, ...words] = [...GATE, ...sandbox, command, ...args]
  const child = spawn(program, words, { cwd, env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  return new GuardedChild(child, watch)
}

export class GuardedChild {
  readonly process: SpawnedProcess
  /** Resolves when nothing of it is left. */
  readonly ended: Promise<void>
  readonly #child: ChildProcess

  constructor(child: ChildProcess, watch: Watch | undefined) {
    this.#child = child
    const { pid, stdin, stdout, stderr } = child
    if (!stdin || !stdout || !stderr) throw new Error('a process without pipes')
    // It could not be started, or was killed at once: both are told by its end.
    stdin.on('error', () => undefined)
    stderr.resume()
    this.ended = new Promise((resolve) => {
      child.once('error', () => resolve())
      child.once('exit', () => {
        // What it had put into the background ends with it.
        this.kill('SIGKILL')
        if (pid !== undefined) watch?.drop(pid)
        resolve()
      })
    })
    try {
      if (pid !== undefined) watch?.add(pid)
    } catch (error) {
      stdin.destroy()
      throw error
    }
    stdin.write('\n')
    this.process = this.#forSdk(stdin, stdout)
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Signals the whole group; false when nothing of it is left. */
  kill(signal: NodeJS.Signals): boolean {
    const { pid } = this.#child
    if (pid === undefined) return false
    try {
      process.kill(-pid, signal)
      return true
    } catch {
      return false // ESRCH: the group is empty.
    }
  }

  #forSdk(stdin: SpawnedProcess['stdin'], stdout: SpawnedProcess['stdout']): SpawnedProcess {
    const child = this.#child
    return {
      stdin,
      stdout,
      get killed() {
        return child.killed
      },
      get exitCode() {
        return child.exitCode
      },
      get signalCode() {
        return child.signalCode
      },
      kill: (signal) => this.kill(signal),
      on: child.on.bind(child) as SpawnedProcess['on'],
      once: child.once.bind(child) as SpawnedProcess['once'],
      off: child.off.bind(child) as SpawnedProcess['off'],
    }
  }
}
