/**
 * The processes that are kept warm between the tasks of their sessions: a task for a live one begins in some 40 ms, a new
 * process takes half a second and a core. Each costs 100 to 125 MB that it shares with nobody, so there is a limit: the one
 * that was used longest ago makes room, and one that nobody uses for a while ends.
 */
import type { ClaudeProcess } from './claude-process.js'

export interface LiveLimits {
  readonly max: number
  readonly idleMs: number
}

interface Live {
  readonly process: ClaudeProcess
  /** What it was started with: another version of the same session cannot use it. */
  readonly version: string
  busy: boolean
  isForgotten: boolean
  idle: NodeJS.Timeout | undefined
}

export class LiveProcesses {
  /** The one that was used longest ago comes first. */
  readonly #live = new Map<string, Live>()
  /** Turns that wait for room, oldest first: at most as many as there are slots for turns. */
  readonly #waiting: (() => void)[] = []
  /** Being started: they count already. */
  #starting = 0
  #isStopped = false

  constructor(private readonly limits: LiveLimits) {}

  get count(): number {
    return this.#live.size + this.#starting
  }

  pids(): number[] {
    return [...this.#live.values()].flatMap(({ process }) => process.pid ?? [])
  }

  /**
   * The live process of this session and version, or a new one when there is room. It is the caller's until `release`.
   * @throws the signal's reason when aborted while waiting for room
   */
  async take(
    sessionId: string,
    version: string,
    start: () => Promise<ClaudeProcess>,
    signal: AbortSignal,
  ): Promise<ClaudeProcess> {
    const known = this.#live.get(sessionId)
    if (known?.version === version && known.process.isUsable) {
      this.#use(sessionId, known)
      return known.process
    }
    if (known) await this.#end(sessionId, known, 'kill')
    await this.#reserve(signal)
    try {
      const process = await start()
      if (this.#isStopped) {
        await process.close('kill')
        throw new Error('the worker stops')
      }
      this.#live.set(sessionId, { process, version, busy: true, isForgotten: false, idle: undefined })
      return process
    } finally {
      this.#starting -= 1
      this.#wakeNext()
    }
  }

  /** Keeps it for the next task of its session, or ends it. */
  async release(sessionId: string, process: ClaudeProcess, keep: boolean): Promise<void> {
    const live = this.#live.get(sessionId)
    if (live?.process !== process) return await process.close('kill')
    live.busy = false
    if (!keep || live.isForgotten || !process.isUsable) return await this.#end(sessionId, live, 'kill')
    live.idle = setTimeout(() => void this.#end(sessionId, live, 'gently'), this.limits.idleMs)
    live.idle.unref()
    this.#wakeNext()
  }

  /** Ends the process of a session that has no next task here. */
  forget(sessionId: string): void {
    const live = this.#live.get(sessionId)
    if (!live) return
    live.isForgotten = true
    if (!live.busy) void this.#end(sessionId, live, 'gently')
  }

  /** Ends all of them; may be called twice. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await Promise.all([...this.#live].map(([id, live]) => this.#end(id, live, 'gently')))
  }

  #use(sessionId: string, live: Live): void {
    clearTimeout(live.idle)
    live.busy = true
    this.#live.delete(sessionId)
    this.#live.set(sessionId, live)
  }

  /** Waits until one more fits, and counts it from then on. */
  async #reserve(signal: AbortSignal): Promise<void> {
    while (this.count >= this.limits.max) {
      const idle = [...this.#live].find(([, { busy }]) => !busy)
      if (idle) await this.#end(idle[0], idle[1], 'gently')
      else await this.#room(signal)
    }
    this.#starting += 1
  }

  #room(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const wake = () => {
        signal.removeEventListener('abort', giveUp)
        resolve()
      }
      const giveUp = () => {
        this.#waiting.splice(this.#waiting.indexOf(wake), 1)
        reject(signal.reason)
      }
      signal.addEventListener('abort', giveUp, { once: true })
      this.#waiting.push(wake)
    })
  }

  #wakeNext(): void {
    this.#waiting.shift()?.()
  }

  async #end(sessionId: string, live: Live, how: 'gently' | 'kill'): Promise<void> {
    clearTimeout(live.idle)
    if (this.#live.get(sessionId) === live) this.#live.delete(sessionId)
    await live.process.close(how)
    this.#wakeNext()
  }
}
