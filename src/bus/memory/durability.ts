/**
 * When an operation of the in-process bus may be answered: at once when nothing is kept, or after the transaction that
 * wrote it. Operations that come close together share a transaction; they become durable, and visible, in their order.
 *
 *   operation ─▶ memory + rows of the open group ─▶ ≤ 5 ms ─▶ one transaction ─▶ afterwards() ─▶ answer
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceError } from '../../protocol/errors.js'
import type { BusContents, BusWrite } from '../../storage/standalone-bus.js'
import { WriteGroup } from './write-group.js'

/** Where the bus is kept; `StandaloneBus` of the storage plane is one. */
export interface BusJournal {
  load(): Promise<BusContents>
  /** All or nothing, durable when it resolves. */
  write(rows: BusWrite): Promise<void>
}

export interface Durability {
  /**
   * The group that takes the rows of this operation.
   * @throws ServiceError `unavailable` after a failed write or `stop`, before anything was changed.
   */
  group(): WriteGroup
  /** Resolves when the group is durable, after `afterwards` has run. Rejects when the group could not be written. */
  keep(group: WriteGroup, afterwards?: () => void): Promise<void>
  /** Resolves when everything up to now is durable: what was read may then be shown. */
  settled(): Promise<void>
  /** Writes what waits, then refuses. */
  stop(): Promise<void>
}

const stopped = (): ServiceError => new ServiceError('unavailable', { reason: 'the service is stopping' })

/** For a bus that ends with its process. */
export class NothingKept implements Durability {
  #stopped = false

  group(): WriteGroup {
    if (this.#stopped) throw stopped()
    return new WriteGroup()
  }

  async keep(_group: WriteGroup, afterwards?: () => void): Promise<void> {
    afterwards?.()
  }

  async settled(): Promise<void> {
    if (this.#stopped) throw stopped()
  }

  async stop(): Promise<void> {
    this.#stopped = true
  }
}

/** How long the first operation of a group waits for others: with the timer's own delay below the promised 5 ms. */
const GATHER_MS = 2
/** Keeps a transaction, and with it the pause of everything else in the process, to some tens of milliseconds. */
const GROUP_OPERATIONS = 1_000

interface OpenGroup {
  readonly rows: WriteGroup
  readonly openedAt: number
  readonly afterwards: (() => void)[]
  readonly done: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: Error) => void
  operations: number
  sealed: boolean
}

export class GroupedWrites implements Durability {
  /** Oldest first; the first may be on its way to the disk, the last takes new rows unless it is sealed. */
  #groups: OpenGroup[] = []
  #writing = false
  #refusal: ServiceError | undefined

  constructor(private readonly journal: BusJournal) {}

  group(): WriteGroup {
    if (this.#refusal) throw this.#refusal
    const open = this.#openGroup()
    open.operations += 1
    if (open.operations >= GROUP_OPERATIONS) open.sealed = true
    return open.rows
  }

  keep(group: WriteGroup, afterwards?: () => void): Promise<void> {
    const open = this.#groups.findLast((it) => it.rows === group)
    if (!open) throw new Error('an operation kept its group beyond its own turn of the event loop')
    if (afterwards) open.afterwards.push(afterwards)
    return open.done
  }

  async settled(): Promise<void> {
    if (this.#refusal) throw this.#refusal
    await this.#groups.at(-1)?.done
  }

  async stop(): Promise<void> {
    this.#refusal ??= stopped()
    // Its failure has reached those who wait for the group.
    await this.#groups.at(-1)?.done.catch(() => undefined)
  }

  #openGroup(): OpenGroup {
    const last = this.#groups.at(-1)
    if (last && !last.sealed) return last
    const opened = openGroup()
    this.#groups.push(opened)
    if (!this.#writing) void this.#writeAll()
    return opened
  }

  async #writeAll(): Promise<void> {
    this.#writing = true
    // The operation that opened the group puts its rows there in the rest of this turn: taken now, they would be missed.
    await Promise.resolve()
    for (let group = this.#groups[0]; group; group = this.#groups[0]) {
      const leftMs = GATHER_MS - (performance.now() - group.openedAt)
      if (leftMs > 0 && !group.sealed) await sleep(leftMs)
      group.sealed = true
      try {
        await this.journal.write(group.rows.rows())
      } catch (error) {
        return this.#fail(error)
      }
      this.#groups.shift()
      for (const then of group.afterwards) then()
      group.resolve()
    }
    this.#writing = false
  }

  /** Memory is now ahead of the disk: whoever goes on would build on what a restart forgets. */
  #fail(cause: unknown): void {
    const reason = 'the journal of the bus cannot be written; restart the service when its disk is in order'
    const refusal = new ServiceError('unavailable', { reason }, { cause })
    this.#refusal = refusal
    for (const group of this.#groups.splice(0)) group.reject(refusal)
  }
}

function openGroup(): OpenGroup {
  let resolve: () => void = () => undefined
  let reject: (error: Error) => void = () => undefined
  const done = new Promise<void>((onDone, onFailed) => {
    resolve = onDone
    reject = onFailed
  })
  // Every operation of the group hears of the failure itself; the group alone must not end the process.
  done.catch(() => undefined)
  const openedAt = performance.now()
  return { rows: new WriteGroup(), openedAt, afterwards: [], done, resolve, reject, operations: 0, sealed: false }
}
