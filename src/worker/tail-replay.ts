/**
 * Puts back what a claim's tail remembers and the store lacks: accepted commands, and the writes of each session; where the
 * store lacks what came before those too, what Postgres has of that first.
 */
import type { Change, Claim, Handover, SessionLog, StoreFailover } from '../bus/bus.js'
import type { SessionId } from '../protocol/ids.js'
import { NotForwarded } from './session-forward.js'
import { seqOf, type TailWrite, type WriteTail } from './write-tail.js'

/** Commands in one call: some 10 µs of the server each. */
const COMMANDS_PER_CALL = 128
/** Bodies in one call. A single larger one goes alone. */
const CHARS_PER_CALL = 256 * 1024
/** Sessions whose writes are put back at once: enough to fill calls, few enough for the deadline of a command. */
const SESSIONS_AT_ONCE = 128

/**
 * `whole` the store has everything · `older` it has, and lacked more than is remembered · `short` it lacks the beginning of a
 * message's text · `lost` it lacks events that neither we nor Postgres have in time · `again` it has lost something anew
 * meanwhile · `fenced` another has claimed the shard.
 */
export type Replayed = 'whole' | 'older' | 'short' | 'lost' | 'again' | 'fenced'

export interface TailReplayOptions {
  readonly log: Pick<SessionLog, 'commit' | 'flush' | 'peek'>
  readonly store: Pick<StoreFailover, 'restore'>
  /** Undefined where nothing is pinned. */
  readonly handover: Pick<Handover, 'pin' | 'unpin'> | undefined
  readonly tail: WriteTail
  /** Moves a session forward to a number, as far as Postgres has it. */
  readonly forward: (claim: Claim, id: SessionId, upTo: number) => Promise<number>
}

export class TailReplay {
  constructor(private readonly options: TailReplayOptions) {}

  /** False when the store has lost something anew, or is another's. @throws what a store throws that does not answer. */
  async commands(claim: Claim): Promise<boolean> {
    for (const commands of chunks(this.options.tail.commandsOf(claim))) {
      if ((await this.options.store.restore(claim, commands)).status !== 'ok') return false
    }
    return true
  }

  /** Puts back the writes of all sessions, and tells what became of them. @throws as `commands` */
  async writes(claim: Claim): Promise<ReadonlySet<Replayed>> {
    const sessions = [...this.options.tail.writesOf(claim)]
    const results = new Set<Replayed>()
    for (let at = 0; at < sessions.length; at += SESSIONS_AT_ONCE) {
      // Sessions do not know of each other: only the writes of each must come in their order.
      const some = sessions.slice(at, at + SESSIONS_AT_ONCE).map(([id, writes]) => this.#run(claim, id, writes))
      for (const result of await Promise.all(some)) results.add(result)
      if (results.has('again')) break
    }
    return results
  }

  /** Puts back the writes of one session. @throws as `commands` */
  async session(claim: Claim, id: SessionId): Promise<Replayed> {
    return await this.#run(claim, id, this.options.tail.writesOf(claim).get(id) ?? [])
  }

  async #run(claim: Claim, id: SessionId, writes: readonly TailWrite[]): Promise<Replayed> {
    const replayed = await this.#replay(claim, id, writes, false)
    const first = writes.find((write) => write.kind === 'commit')
    if (replayed !== 'lost' || first?.kind !== 'commit') return replayed
    const forwarded = await this.#forward(claim, id, first.change.expectedSeq)
    if (forwarded === 0) return 'lost'
    const rest = await this.#replay(claim, id, writes, true)
    return rest === 'whole' ? 'older' : rest
  }

  async #forward(claim: Claim, id: SessionId, upTo: number): Promise<number> {
    try {
      return await this.options.forward(claim, id, upTo)
    } catch (error) {
      if (error instanceof NotForwarded) return 0
      throw error
    }
  }

  /** `isForwarded`: the commit that stands before the first of these is not the one that they name. */
  async #replay(claim: Claim, id: SessionId, writes: readonly TailWrite[], isForwarded: boolean): Promise<Replayed> {
    const { log } = this.options
    const head = await log.peek(id)
    let seq = head ? seqOf(head.head) : -1
    let isFirst = isForwarded
    let result: Replayed = 'whole'
    for (const write of writes) {
      if (write.kind === 'pin' || write.kind === 'unpin') {
        await this.#pin(claim, write.kind, id)
        continue
      }
      const from = write.kind === 'commit' ? write.change.expectedSeq : write.flush.headSeq
      // Behind the head it is there: the store holds a prefix. Text of a message that has ended must not come back.
      if (from < seq) continue
      if (write.kind === 'flush') {
        const { status } = await log.flush(claim, write.flush)
        if (status === 'rollback') return 'again'
        if (status === 'fenced') return 'fenced'
        // The beginning of a message may be too old for us; the event that ends it has it whole.
        if (status === 'gap') result = 'short'
        continue
      }
      const reply = await log.commit(claim, isFirst ? withoutBefore(write.change) : write.change)
      if (reply.status === 'rollback') return 'again'
      if (reply.status === 'fenced') return 'fenced'
      // A commit that added no event, and is there already behind others that added none, meets the head that it expects.
      if (reply.status === 'corrupt' || (reply.status === 'head' && reply.seq !== from)) return 'lost'
      if (reply.status === 'ok') seq = from + write.change.events.length
      isFirst = false
    }
    return result
  }

  /** A pin that is refused was not lost: it came before the claim of the owner that stands in the store. */
  async #pin(claim: Claim, kind: 'pin' | 'unpin', id: SessionId): Promise<void> {
    await this.options.handover?.[kind](claim, [id])
  }
}

function withoutBefore({ after: _, ...change }: Change): Change {
  return change
}

function* chunks<T extends { readonly body: string }>(all: readonly T[]): Generator<readonly T[]> {
  let some: T[] = []
  let chars = 0
  for (const it of all) {
    if (some.length === COMMANDS_PER_CALL || (some.length > 0 && chars + it.body.length > CHARS_PER_CALL)) {
      yield some
      some = []
      chars = 0
    }
    some.push(it)
    chars += it.body.length
  }
  if (some.length > 0) yield some
}
