/**
 * Commands of a shard over a Redis stream: edges append, the shard's owner reads with a cursor of its own and accepts.
 *
 * Why no consumer group: XREADGROUP is a write that no epoch can fence. A stopped owner that still blocks in it takes
 * the next command into its pending list, while later ones go to the new owner.
 */
import type { RedisClient } from '../redis/connect.js'
import { Script } from '../redis/script.js'
import type {
  Acceptance,
  Accepted,
  Claim,
  CommandBatch,
  CommandReader,
  CommandStream,
  Refused,
  Submitted,
} from './bus.js'
import { LIMITS } from './bus.js'
import { isControl, type Submission } from './command.js'
import { RedisCommandReader } from './command-reader.js'
import type { Lanes } from './lanes.js'
import { refusal, word } from './replies.js'

/** Values that `accept` returns for each command. */
const REPLY_FIELDS = 2

export class RedisCommandStream implements CommandStream {
  readonly #submit = new Script(new URL('./lua/submit.lua', import.meta.url))
  readonly #accept = new Script(new URL('./lua/accept.lua', import.meta.url))

  constructor(
    private readonly redis: RedisClient,
    private readonly lanes: Lanes,
    /** Opens a connection for blocking reads. */
    private readonly connectReader: () => Promise<RedisClient>,
  ) {}

  async submit(submission: Submission): Promise<Submitted> {
    const { sessionId, commandId, type, tenant, outbox, fresh, body } = submission
    const shard = shardKey(this.lanes, sessionId)
    const reply = await this.#submit.run(
      this.redis,
      shard,
      LIMITS.shardCommands,
      LIMITS.shardBytes,
      sessionId,
      commandId,
      type,
      tenant,
      outbox,
      fresh ? 1 : 0,
      body,
    )
    return word(reply) === 'ok' ? { status: 'ok' } : { status: 'busy', retryAfterMs: LIMITS.busyRetryMs }
  }

  openReader(onBatch: (batch: CommandBatch) => Promise<void>, onLost: () => void): CommandReader {
    return new RedisCommandReader({
      lanes: this.lanes,
      commands: this.redis,
      connect: this.connectReader,
      onBatch,
      onLost,
    })
  }

  async accept(claim: Claim, batch: CommandBatch): Promise<Accepted | Refused> {
    const keys = this.lanes.ofShard(claim.shard)
    const reply = await this.#accept.run(
      this.redis,
      keys.shard(claim.shard),
      claim.epoch,
      batch.cursor,
      keys.base,
      LIMITS.inboxCommands,
      LIMITS.inboxBytes,
      LIMITS.seenCommands,
      LIMITS.outEntries,
      ...batch.submissions.flatMap(acceptArguments),
    )
    const refused = refusal(reply)
    if (refused) return refused
    return { status: 'ok', acceptances: batch.submissions.map((it, index) => acceptance(it, reply, index)) }
  }
}

function shardKey(lanes: Lanes, sessionId: string): string {
  const { shard, keys } = lanes.locate(sessionId)
  return keys.shard(shard)
}

function acceptArguments(it: Submission): (string | number)[] {
  const kind = it.type === 'spawn' ? 'spawn' : isControl(it.type) ? 'control' : 'inbox'
  return [it.sessionId, it.commandId, kind, it.fresh ? 1 : 0, it.outbox, it.tenant, it.body]
}

function acceptance(it: Submission, reply: readonly unknown[], index: number): Acceptance {
  const at = 1 + index * REPLY_FIELDS
  return {
    sessionId: it.sessionId,
    commandId: it.commandId,
    status: String(reply[at]) as Acceptance['status'],
    detail: String(reply[at + 1] ?? ''),
  }
}
