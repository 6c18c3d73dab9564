/**
 * Accepts what waits on the shards of this worker and hands it to the sessions: one batch of a shard after the other, and
 * those of different shards together.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { AcceptedCommand, Claim, CommandStream, Refused } from '../bus/bus.js'
import { HYDRATE } from '../bus/command.js'

export interface CommandReaderOptions {
  readonly commands: Pick<CommandStream, 'accept'>
  /** Takes accepted commands, in order, and when they were asked for by the monotonic clock. */
  readonly deliver: (claim: Claim, commands: readonly AcceptedCommand[], askedAt: number) => void
  /** The claim under which a shard is read now. */
  readonly claimOf: (shard: number) => Claim | undefined
  /** While a shard is being restored, nothing new is accepted before what the store has lost. */
  readonly isRestoring: (shard: number) => boolean
  readonly onRefused: (claim: Claim, refused: Refused) => void
  /** Commands were accepted before these of which nobody heard: all are taken from the inboxes, in their order. */
  readonly onSkipped: (shard: number) => Promise<void>
  /** Nobody knows what was accepted: the shard must be claimed once more, which tells. */
  readonly onFailed: (shard: number, error: unknown) => Promise<void>
  /** Commands wait for a session that the store does not hold. */
  readonly onCold: (claim: Claim, sessionId: string) => void
}

/** A store that fails at once must not be asked in a circle. */
const RETRY_MS = 200

export class CommandReader {
  readonly #options: CommandReaderOptions
  /** Shards that are being accepted. */
  readonly #running = new Map<number, Promise<void>>()
  /** Those of them that got commands meanwhile. */
  readonly #again = new Set<number>()
  /** Where the cursors stand: nobody but us moves them. */
  readonly #cursors = new Map<number, string>()
  /** Shards whose commands were taken, and we do not know which: not read before they are claimed anew. */
  readonly #unknown = new Set<number>()
  #stopped = false

  constructor(options: CommandReaderOptions) {
    this.#options = options
  }

  /** Commands may wait in this shard. */
  read(shard: number): void {
    if (this.#stopped) return
    if (this.#running.has(shard) || this.#unknown.has(shard)) this.#again.add(shard)
    else this.#running.set(shard, this.#readAll(shard))
  }

  /** A claim tells where the shard's cursor stands. */
  placed(shard: number, cursor: string): void {
    this.#cursors.set(shard, cursor)
  }

  /** Where a shard stands as far as we know: under which epoch, and its cursor. */
  placeOf(shard: number): string | undefined {
    const [claim, cursor] = [this.#options.claimOf(shard), this.#cursors.get(shard)]
    return claim && cursor !== undefined ? `${claim.epoch} ${cursor}` : undefined
  }

  /** Resolves when nothing is being accepted any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#running.values())
  }

  async #readAll(shard: number): Promise<void> {
    try {
      do this.#again.delete(shard)
      while ((await this.#accept(shard)) || this.#again.has(shard))
      this.#running.delete(shard)
    } catch (error) {
      // Later commands would overtake those whose acceptance we have not heard of.
      this.#unknown.add(shard)
      await sleep(RETRY_MS)
      this.#running.delete(shard)
      if (!this.#stopped) await this.#options.onFailed(shard, error)
      this.#unknown.delete(shard)
      if (this.#again.has(shard)) this.read(shard)
    }
  }

  /** Accepts one batch; true when more may wait. */
  async #accept(shard: number): Promise<boolean> {
    const { commands, claimOf, isRestoring, onRefused, onCold, deliver } = this.#options
    const claim = claimOf(shard)
    if (!claim || this.#stopped || isRestoring(shard)) return false
    const askedAt = performance.now()
    const reply = await commands.accept(claim, this.#cursors.get(shard))
    if (reply.status !== 'ok') {
      onRefused(claim, reply)
      return false
    }
    // Dropped meanwhile: the next owner finds the commands in their inboxes.
    if (claimOf(shard) !== claim) return false
    this.#cursors.set(shard, reply.cursor)
    if (reply.skipped) await this.#options.onSkipped(shard)
    else
      deliver(
        claim,
        reply.commands.filter(({ submission }) => submission.type !== HYDRATE),
        askedAt,
      )
    for (const { acceptance } of reply.commands) if (acceptance.status === 'cold') onCold(claim, acceptance.sessionId)
    return reply.more
  }
}
