/**
 * What this worker wrote to shards that others own by now, or under pins there: puts it back into a store that has lost it,
 * when the owner asks, or when a turn that stayed here meets the loss.
 *
 * Only what the store had acknowledged is put back, under the claim that wrote it. Once the next owner has claimed the shard
 * in that store it refuses that, but for sessions under a pin.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Claim, SessionLog } from '../bus/bus.js'
import type { NodeId, SessionId } from '../protocol/ids.js'
import type { Logger } from './session-services.js'
import type { Replayed, TailReplay } from './tail-replay.js'
import type { WriteTail } from './write-tail.js'

const RETRY_MS = 200
/** For 15 s, as long as a write is repeated: the owner may wait for Postgres, and then for us. */
const MOST_TRIES = 75

export interface FormerClaimsOptions {
  readonly log: Pick<SessionLog, 'claim'>
  readonly tail: WriteTail
  readonly replay: TailReplay
  /** Lets those who wrote before a claim put back theirs first; false when they could not. */
  readonly ask: (claim: Claim, formers: Iterable<NodeId>) => Promise<boolean>
  readonly logger: Logger
}

export class FormerClaims {
  readonly #running = new Map<string, Promise<boolean>>()

  constructor(private readonly options: FormerClaimsOptions) {}

  /** For the owner under `epoch`: puts back what was written under lower ones. False when something could not be. */
  putBack(shard: number, epoch: number): Promise<boolean> {
    const key = `${shard} ${epoch}`
    const running = this.#running.get(key) ?? this.#putBackAll(shard, epoch).finally(() => this.#running.delete(key))
    this.#running.set(key, running)
    return running
  }

  /**
   * For a turn under a pin, and for a session that is on its way out of a shard that is being given away. Resolves once its
   * writes are back; false when they will not be.
   */
  async restore(claim: Claim, id: SessionId): Promise<boolean> {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const replayed = await this.options.replay.session(claim, id).catch((): Replayed => 'again')
      if (replayed === 'fenced') return false
      // `lost` may mean a command that the owner has yet to put back, `again` a pin that waits for the owner's word.
      if (replayed !== 'lost' && replayed !== 'again') return true
      // There may be no other owner yet, and none before this session has ended: the commands are then ours to put back.
      await this.putBack(claim.shard, claim.epoch + 1)
      await sleep(RETRY_MS)
    }
    return false
  }

  async #putBackAll(shard: number, below: number): Promise<boolean> {
    let whole = !this.options.tail.forsook(shard, below)
    for (const claim of this.options.tail.claimsOf(shard)) {
      if (claim.epoch < below) whole = (await this.#putBackOne(claim)) && whole
    }
    return whole
  }

  async #putBackOne(claim: Claim): Promise<boolean> {
    const { log, tail, replay, ask, logger } = this.options
    try {
      const before = await ask(claim, tail.formersOf(claim))
      // Where a later owner stands in the store, nothing that came before is missing but what is under pins.
      const { status } = await log.claim(claim)
      if (status === 'ok' && !(await replay.commands(claim))) return false
      const results = await replay.writes(claim)
      logger.warn({ shard: claim.shard, epoch: claim.epoch, results: [...results] }, 'a former shard was put back')
      return before && [...results].every((it) => it === 'whole' || it === 'older')
    } catch (err) {
      logger.warn({ err, shard: claim.shard }, 'a former shard could not be put back')
      return false
    }
  }
}
