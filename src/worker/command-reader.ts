/**
 * Accepts what arrives on the shards of this worker and hands it to the sessions.
 */
import type { Claim, CommandBatch, CommandStream, Refused } from '../bus/bus.js'
import type { Submission } from '../bus/command.js'
import type { SessionHost } from './session-host.js'

export interface AcceptingOptions {
  readonly commands: CommandStream
  readonly host: SessionHost
  /** The claim under which a shard is read now. */
  readonly claimOf: (shard: number) => Claim | undefined
  readonly onRefused: (claim: Claim, refused: Refused) => void
  /** Whether Postgres knows nothing of this session but its reservation, so that it may be created. */
  readonly isUnborn: (sessionId: string) => Promise<boolean>
}

/** Accepts one batch. When the store cannot be reached it throws, and the shard is claimed and read anew. */
export async function acceptBatch(options: AcceptingOptions, batch: CommandBatch): Promise<void> {
  const claim = options.claimOf(batch.shard)
  if (!claim) return
  const reply = await options.commands.accept(claim, batch)
  if (reply.status !== 'ok') return options.onRefused(claim, reply)
  // Dropped meanwhile: the next owner finds the commands in their inboxes.
  if (options.claimOf(batch.shard) !== claim) return
  options.host.deliver(claim, batch.submissions, reply.acceptances)
  const unsure = batch.submissions.filter((_, index) => reply.acceptances[index]?.status === 'check')
  if (unsure.length > 0) await acceptUnborn(options, claim, batch, unsure)
}

/** Repeated spawns of sessions that the store does not hold: those that were never created are created now. */
async function acceptUnborn(
  options: AcceptingOptions,
  claim: Claim,
  batch: CommandBatch,
  unsure: readonly Submission[],
): Promise<void> {
  const submissions: Submission[] = []
  for (const it of unsure) if (await options.isUnborn(it.sessionId)) submissions.push({ ...it, fresh: true })
  const reply = await options.commands.accept(claim, { ...batch, submissions })
  if (reply.status !== 'ok') return options.onRefused(claim, reply)
  options.host.deliver(claim, submissions, reply.acceptances)
}
