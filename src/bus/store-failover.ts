/**
 * What the owner of a shard does with a Redis that has failed over: notices it, and puts back what was accepted. Commits
 * and text are put back by `SessionLog` itself, under their own ids.
 */
import type { RedisClient } from '../redis/connect.js'
import { KEY_LAYOUT } from '../redis/keys.js'
import { Script, type ScriptReply } from '../redis/script.js'
import {
  type Claim,
  type Claimed,
  type Fenced,
  LIMITS,
  type Refused,
  type StoreFailover,
  type StoreWatch,
  type StoreWatchHandlers,
} from './bus.js'
import type { Submission } from './command.js'
import type { Lanes } from './lanes.js'
import { claimed, refusal, word } from './replies.js'
import { StoreIdentity } from './store-identity.js'

/** Longer than a question to Postgres takes to fail, after which the owner pauses the shard anew. */
const PAUSE_MS = 10_000

export class RedisStoreFailover implements StoreFailover {
  readonly #claim = new Script(new URL('./lua/claim.lua', import.meta.url))
  readonly #pause = new Script(new URL('./lua/pause.lua', import.meta.url))
  readonly #restore = new Script(new URL('./lua/restore.lua', import.meta.url))

  constructor(
    private readonly redis: RedisClient,
    private readonly lanes: Lanes,
  ) {}

  watch(handlers: StoreWatchHandlers): StoreWatch {
    return new StoreIdentity(this.redis, this.lanes, handlers)
  }

  async pause(claim: Claim): Promise<void> {
    const key = this.lanes.ofShard(claim.shard).shard(claim.shard)
    await this.#pause.run(this.redis, key, claim.epoch, PAUSE_MS)
  }

  async restore(claim: Claim, commands: readonly Submission[]): Promise<{ readonly status: 'ok' } | Refused> {
    const { base, shard } = this.lanes.ofShard(claim.shard)
    const each = commands.flatMap(({ sessionId, type, outbox, tenant, commandId, body }) => [
      `${sessionId} ${type} ${outbox} ${tenant}`,
      commandId,
      body,
    ])
    const head = [claim.epoch, base, LIMITS.seenCommands]
    return answer(await this.#restore.run(this.redis, shard(claim.shard), ...head, ...each))
  }

  async claimSame(claim: Claim): Promise<Claimed | Fenced | undefined> {
    const { base, shard } = this.lanes.ofShard(claim.shard)
    const key = shard(claim.shard)
    const reply = await this.#claim.run(this.redis, key, claim.owner, claim.epoch, KEY_LAYOUT, base, '-')
    return word(reply) === 'changed' ? undefined : claimed(reply)
  }

  async settle(claim: Claim): Promise<{ readonly status: 'ok' } | Refused> {
    const { base, shard } = this.lanes.ofShard(claim.shard)
    const key = shard(claim.shard)
    return answer(await this.#claim.run(this.redis, key, claim.owner, claim.epoch, KEY_LAYOUT, base, 1))
  }
}

const answer = (reply: ScriptReply): { readonly status: 'ok' } | Refused => refusal(reply) ?? { status: 'ok' }
