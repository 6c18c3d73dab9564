/**
 * How much went through this edge in the last minute: listens in on what the edge counts anyway.
 */
import type { ChannelMeter, EdgeMetrics } from '../../telemetry/metrics.js'

const SLOTS = 60
const SLOT_MS = 1_000

interface Slot {
  /** Number of the second that it counts. */
  second: number
  messages: number
  accepted: number
  acceptedSeconds: number
  refused: number
}

export interface Traffic {
  readonly messagesPerMinute: number
  /** From a command to its acceptance, on average; 0 without any. */
  readonly averageLatencyMs: number
  /** Of commands, those that were not accepted; 0 to 1. */
  readonly errorRate: number
}

export class TrafficMeter {
  readonly metrics: EdgeMetrics
  readonly #slots: Slot[] = Array.from({ length: SLOTS }, () => emptySlot(-1))
  readonly #now: () => number

  /** `metrics` counts on; use its stand-in in its place. */
  constructor(metrics: EdgeMetrics, now: () => number = () => performance.now()) {
    this.#now = now
    this.metrics = {
      ...metrics,
      channel: (name) => this.#listening(metrics.channel(name)),
      served: (method, path, status, seconds) => {
        this.#slot().messages += 1
        metrics.served(method, path, status, seconds)
      },
      accepted: (seconds) => {
        const slot = this.#slot()
        slot.accepted += 1
        slot.acceptedSeconds += seconds
        metrics.accepted(seconds)
      },
      dropped: (reason) => {
        this.#slot().refused += 1
        metrics.dropped(reason)
      },
    }
  }

  read(): Traffic {
    const now = Math.floor(this.#now() / SLOT_MS)
    const recent = this.#slots.filter(({ second }) => second >= 0 && second > now - SLOTS)
    const sum = (of: (slot: Slot) => number): number => recent.reduce((total, slot) => total + of(slot), 0)
    const [accepted, refused] = [sum((slot) => slot.accepted), sum((slot) => slot.refused)]
    return {
      messagesPerMinute: sum(({ messages }) => messages),
      averageLatencyMs: accepted === 0 ? 0 : (sum((slot) => slot.acceptedSeconds) / accepted) * 1_000,
      errorRate: accepted + refused === 0 ? 0 : refused / (accepted + refused),
    }
  }

  #listening(meter: ChannelMeter): ChannelMeter {
    return {
      ...meter,
      received: (type, bytes) => {
        this.#slot().messages += 1
        meter.received(type, bytes)
      },
    }
  }

  #slot(): Slot {
    const second = Math.floor(this.#now() / SLOT_MS)
    const index = second % SLOTS
    const slot = this.#slots[index]
    if (slot?.second === second) return slot
    const fresh = emptySlot(second)
    this.#slots[index] = fresh
    return fresh
  }
}

const emptySlot = (second: number): Slot => ({ second, messages: 0, accepted: 0, acceptedSeconds: 0, refused: 0 })
