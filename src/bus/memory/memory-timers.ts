/**
 * Durable timers of one shard of the in-process bus, by this machine's clock: it is the store's.
 */
import type { Timer, TimerName } from '../bus.js'
import type { WriteGroup } from './write-group.js'

interface Pending {
  readonly timer: Timer
  readonly dueAt: number
}

export class MemoryTimers {
  readonly #pending = new Map<string, Pending>()
  /** Nothing is due before; it may lie too early, never too late. */
  #earliest = Number.POSITIVE_INFINITY

  set(timer: Timer, inMs: number, group: WriteGroup): void {
    const dueAt = Date.now() + Math.max(0, Math.round(inMs))
    this.restore(timer, dueAt)
    group.timer({ session_id: timer.sessionId, name: timer.name, due_at: dueAt, note: timer.note })
  }

  clear({ sessionId, name }: TimerName, group: WriteGroup): void {
    if (!this.#pending.delete(keyOf({ sessionId, name }))) return
    group.timer({ session_id: sessionId, name, due_at: null, note: '' })
  }

  restore(timer: Timer, dueAt: number): void {
    this.#pending.set(keyOf(timer), { timer, dueAt })
    this.#earliest = Math.min(this.#earliest, dueAt)
  }

  /** Those that have gone off, the longest overdue first. */
  due(limit: number): readonly Timer[] {
    const now = Date.now()
    if (now < this.#earliest) return []
    const all = [...this.#pending.values()]
    this.#earliest = all.reduce((earliest, { dueAt }) => Math.min(earliest, dueAt), Number.POSITIVE_INFINITY)
    const due = all.filter(({ dueAt }) => dueAt <= now).sort((one, other) => one.dueAt - other.dueAt)
    return due.slice(0, limit).map(({ timer }) => timer)
  }
}

const keyOf = ({ sessionId, name }: TimerName): string => `${sessionId} ${name}`
