/**
 * Reads a session from the store, and sees to it that the store does not hold less than what was written: not less than
 * this worker remembers, and, where the store is in doubt, not less than Postgres.
 */
import type { Claim, SessionLog, SessionRecord } from '../bus/bus.js'
import { type ForwardStorage, forwardSession } from './session-forward.js'
import type { Logger } from './session-services.js'
import type { StoreRecovery } from './store-recovery.js'
import { seqOf, type WriteTail } from './write-tail.js'

/** A store may fail over again while a session is read; one that still lacks something is taken as it is. */
const MAX_READS = 3

export interface SessionLoaderOptions {
  readonly log: Pick<SessionLog, 'load' | 'commit'>
  readonly storage: ForwardStorage
  /** Both undefined on a bus that loses nothing. */
  readonly tail: WriteTail | undefined
  readonly recovery: Pick<StoreRecovery, 'cleared' | 'restore' | 'isDoubted'> | undefined
  readonly logger: Logger
}

export class SessionLoader {
  constructor(private readonly options: SessionLoaderOptions) {}

  /**
   * Undefined when the store does not hold the session.
   * @throws what a store throws that does not answer; Postgres counts only where Redis is in doubt.
   */
  async load(claim: Claim, sessionId: string): Promise<SessionRecord | undefined> {
    const record = await this.#read(claim, sessionId)
    if (!record || !this.options.recovery?.isDoubted(claim.shard)) return record
    return (await this.#forward(record, claim)) === 0 ? record : await this.#read(claim, sessionId)
  }

  /** Moves a session forward to number `upTo`, as far as Postgres has it, and tells how far. @throws as `load` */
  async forward(claim: Claim, sessionId: string, upTo: number): Promise<number> {
    const record = await this.options.log.load(sessionId)
    return record ? await this.#forward(record, claim, upTo) : 0
  }

  async #forward(record: SessionRecord, claim: Claim, upTo?: number): Promise<number> {
    const { log, storage, logger } = this.options
    const { sessionId } = record
    const events = await forwardSession(record, claim, log, storage, upTo)
    if (events > 0) logger.warn({ sessionId, events }, 'a session was moved forward to what Postgres has of it')
    return events
  }

  async #read(claim: Claim, sessionId: string): Promise<SessionRecord | undefined> {
    const { log, tail, recovery } = this.options
    for (let reads = 1; ; reads++) {
      await recovery?.cleared(claim.shard)
      const record = await log.load(sessionId)
      const lacks = tail && tail.lastSeqOf(claim.shard, sessionId) > (record ? seqOf(record.head) : 0)
      if (!lacks || reads === MAX_READS || !(await recovery?.restore(claim))) return record
    }
  }
}
