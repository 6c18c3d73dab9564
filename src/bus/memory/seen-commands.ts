/**
 * The command ids that a session remembers, in two generations: when the younger is full it becomes the older, and the
 * former older one is forgotten. So at least one generation of ids is always known, at the cost of at most two.
 */
import { LIMITS } from '../bus.js'
import type { DormantSession, SeenCommand } from '../dormant.js'

export class SeenCommands {
  #younger = new Map<string, string>()
  #older = new Map<string, string>()
  #generation: number

  /** `generation` counts how often the younger one became the older one. */
  constructor(generation = 0) {
    this.#generation = generation
  }

  get generation(): number {
    return this.#generation
  }

  /** The event that ended the command, '' while it waits or runs, undefined for an id that is not remembered. */
  result(commandId: string): string | undefined {
    return this.#younger.get(commandId) ?? this.#older.get(commandId)
  }

  /** Remembers a new id. Returns the generation that it belongs to. */
  add(commandId: string): number {
    const generation = this.#generation
    this.#younger.set(commandId, '')
    if (this.#younger.size >= LIMITS.seenCommands) {
      this.#older = this.#younger
      this.#younger = new Map()
      this.#generation += 1
    }
    return generation
  }

  /** Notes which event ended a command. Returns the generation of its id. */
  end(commandId: string, eventId: string): number {
    const inOlder = this.#older.has(commandId) && !this.#younger.has(commandId)
    const map = inOlder ? this.#older : this.#younger
    map.set(commandId, eventId)
    return inOlder ? this.#generation - 1 : this.#generation
  }

  /** All that is remembered, and how many commands that makes since the first. */
  remembered(): Pick<DormantSession, 'accepted' | 'seen' | 'seenBefore'> {
    const accepted = this.#generation * LIMITS.seenCommands + this.#younger.size
    return { accepted, seen: [...this.#younger], seenBefore: [...this.#older] }
  }

  /** Takes over what a dormant session remembered; this one has nothing yet. */
  wake(seen: readonly SeenCommand[], seenBefore: readonly SeenCommand[]): void {
    this.#younger = new Map(seen)
    this.#older = new Map(seenBefore)
  }

  *all(): Iterable<{ readonly command_id: string; readonly generation: number; readonly result: string }> {
    for (const [command_id, result] of this.#older) yield { command_id, generation: this.#generation - 1, result }
    for (const [command_id, result] of this.#younger) yield { command_id, generation: this.#generation, result }
  }

  /** Puts back an id that was read from disk. */
  restore(commandId: string, result: string, generation: number): void {
    if (generation === this.#generation) this.#younger.set(commandId, result)
    else if (generation === this.#generation - 1) this.#older.set(commandId, result)
  }
}
