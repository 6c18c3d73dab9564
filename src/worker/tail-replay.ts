/**
 * Puts the writes of one session back that its store lacks: those that are remembered and, where the store lacks what came
 * before them, what Postgres has of that first.
 */
import type { Change, Claim, SessionLog } from '../bus/bus.js'
import type { SessionId } from '../protocol/ids.js'
import { NotForwarded } from './session-forward.js'
import { seqOf, type TailWrite } from './write-tail.js'

/**
 * `whole` the store has everything · `older` it has, and lacked more than is remembered · `short` it lacks the beginning of a message's text · `lost` it lacks events that
 * neither we nor Postgres have in time · `again` it has lost something anew meanwhile.
 */
export type Replayed = 'whole' | 'older' | 'short' | 'lost' | 'again'

export interface TailReplayOptions {
  readonly log: Pick<SessionLog, 'commit' | 'flush' | 'peek'>
  /** Moves a session forward to a number, as far as Postgres has it. */
  readonly forward: (claim: Claim, id: SessionId, upTo: number) => Promise<number>
}

export class TailReplay {
  constructor(private readonly options: TailReplayOptions) {}

  /** @throws what a store throws that does not answer. */
  async run(claim: Claim, id: SessionId, writes: readonly TailWrite[]): Promise<Replayed> {
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
      const from = write.kind === 'commit' ? write.change.expectedSeq : write.flush.headSeq
      // Behind the head it is there: the store holds a prefix. Text of a message that has ended must not come back.
      if (from < seq) continue
      if (write.kind === 'flush') {
        const { status } = await log.flush(claim, write.flush)
        if (status === 'fenced' || status === 'rollback') return 'again'
        // The beginning of a message may be too old for us; the event that ends it has it whole.
        if (status === 'gap') result = 'short'
        continue
      }
      const reply = await log.commit(claim, isFirst ? withoutBefore(write.change) : write.change)
      if (reply.status === 'fenced' || reply.status === 'rollback') return 'again'
      // A commit that added no event, and is there already behind others that added none, meets the head that it expects.
      if (reply.status === 'corrupt' || (reply.status === 'head' && reply.seq !== from)) return 'lost'
      if (reply.status === 'ok') seq = from + write.change.events.length
      isFirst = false
    }
    return result
  }
}

function withoutBefore({ after: _, ...change }: Change): Change {
  return change
}
