/**
 * Events and state of sessions in Redis. Each write is one script that checks the owner's epoch before it changes
 * anything; see `lua/` for what is stored.
 */
import type { SessionId } from '../protocol/ids.js'
import type { SessionStatus } from '../protocol/session.js'
import type { RedisClient } from '../redis/connect.js'
import { KEY_LAYOUT } from '../redis/keys.js'
import { Script } from '../redis/script.js'
import { ScriptBatch } from '../redis/script-batch.js'
import {
  type Change,
  type Claim,
  type Claimed,
  type Committed,
  type Fenced,
  type Flushed,
  LIMITS,
  type Part,
  type Projected,
  type Resumed,
  type SessionHead,
  type SessionLog,
  type SessionRecord,
  type StoredEvent,
  StoreRefusal,
  type TextFlush,
} from './bus.js'
import type { Outbox } from './command.js'
import type { Lanes } from './lanes.js'
import { pinsOf, refusal, refused, storedEvents, word, words } from './replies.js'

/** Changes in one call: some 20 µs of the server each. */
const CHANGES_PER_CALL = 48
const FLUSHES_PER_CALL = 64
/** A single change may be as large: see LIMITS.charsPerCommit. */
const CHARS_PER_CALL = 256 * 1024

/** Redis values before the entries in a reply of `resume`. */
const RESUME_HEADER = 4

export class RedisSessionLog implements SessionLog {
  readonly #claim = new Script(new URL('./lua/claim.lua', import.meta.url))
  readonly #release = new Script(new URL('./lua/release.lua', import.meta.url))
  readonly #commit: ScriptBatch
  readonly #flush: ScriptBatch
  readonly #resume = new Script(new URL('./lua/resume.lua', import.meta.url))
  readonly #unsubscribe = new Script(new URL('./lua/unsubscribe.lua', import.meta.url))
  readonly #trim = new Script(new URL('./lua/trim.lua', import.meta.url))

  constructor(
    private readonly redis: RedisClient,
    private readonly lanes: Lanes,
  ) {
    const head = (base: string) => [base, LIMITS.outEntries]
    const options = { head, chars: CHARS_PER_CALL, refused }
    const commit = new Script(new URL('./lua/commit.lua', import.meta.url))
    const flush = new Script(new URL('./lua/flush.lua', import.meta.url))
    this.#commit = new ScriptBatch(redis, commit, { ...options, items: CHANGES_PER_CALL })
    this.#flush = new ScriptBatch(redis, flush, { ...options, items: FLUSHES_PER_CALL })
  }

  async claim(claim: Claim): Promise<Claimed | Fenced> {
    const { base, shard } = this.lanes.ofShard(claim.shard)
    const key = shard(claim.shard)
    const reply = await this.#claim.run(this.redis, key, claim.owner, claim.epoch, KEY_LAYOUT, base)
    if (word(reply) === 'fenced') return { status: 'fenced', epoch: Number(reply[1]) }
    return {
      status: 'ok',
      active: reply[1] as SessionId[],
      unprojected: reply[2] as SessionId[],
      pins: pinsOf(reply[3] as string[]),
    }
  }

  async release(claim: Claim): Promise<void> {
    const key = this.lanes.ofShard(claim.shard).shard(claim.shard)
    await this.#release.run(this.redis, key, claim.owner, claim.epoch)
  }

  async commit(claim: Claim, change: Change): Promise<Committed> {
    const keys = this.lanes.ofShard(claim.shard)
    const reply = words(await this.#commit.run(keys.base, keys.shard(claim.shard), commitArguments(claim, change)))
    if (word(reply) === 'ok') return { status: 'ok' }
    if (word(reply) === 'head') return { status: 'head', seq: Number(reply[1]) }
    const refused = refusal(reply)
    if (refused) return refused
    throw new StoreRefusal(`session ${change.sessionId}: its lists do not hold what the commit ends`)
  }

  async flush(claim: Claim, flush: TextFlush): Promise<Flushed> {
    const keys = this.lanes.ofShard(claim.shard)
    const { sessionId, messageId, offset, text, headSeq, json } = flush
    const head = `${claim.shard} ${claim.epoch} ${sessionId} ${messageId} ${offset} ${headSeq}`
    const reply = words(await this.#flush.run(keys.base, keys.shard(claim.shard), [head, text, json]))
    if (word(reply) === 'gap') return { status: 'gap', bytes: Number(reply[1]) }
    return refusal(reply) ?? { status: 'ok' }
  }

  async peek(sessionId: SessionId): Promise<SessionHead | undefined> {
    const fields = await this.redis.hmget(this.lanes.sessionKey(sessionId), ...HEAD_FIELDS)
    return sessionHead(sessionId, fields)
  }

  async load(sessionId: SessionId): Promise<SessionRecord | undefined> {
    const key = this.lanes.sessionKey(sessionId)
    const [fields, inbox, control, text] = await Promise.all([
      this.redis.hmget(key, ...HEAD_FIELDS, 'floor', 'part'),
      this.redis.lrange(`${key}:inbox`, 0, -1),
      this.redis.lrange(`${key}:control`, 0, -1),
      this.redis.get(`${key}:part`),
    ])
    const head = sessionHead(sessionId, fields)
    if (!head) return undefined
    const [floor, messageId] = fields.slice(HEAD_FIELDS.length)
    return { ...head, floor: floor ?? '0-0', part: partOf(messageId, text), inbox, control }
  }

  async events(sessionId: SessionId, after: string, limit: number): Promise<readonly StoredEvent[]> {
    const key = `${this.lanes.sessionKey(sessionId)}:log`
    return storedEvents(await this.redis.xrange(key, `(${after}`, '+', 'COUNT', limit))
  }

  async resume(sessionId: SessionId, outbox: Outbox, after: string, limit: number): Promise<Resumed> {
    const reply = await this.#resume.run(this.redis, this.lanes.sessionKey(sessionId), outbox, after, limit)
    switch (word(reply)) {
      case 'ok':
        return {
          status: 'ok',
          head: String(reply[1]),
          part: partOf(String(reply[2]), String(reply[3])),
          events: storedEvents(reply.slice(RESUME_HEADER)),
        }
      case 'more':
        return { status: 'more', events: storedEvents(reply.slice(1)) }
      case 'below':
        return { status: 'below', floor: String(reply[1]), head: String(reply[2]) }
      default:
        return { status: 'unknown' }
    }
  }

  async unsubscribe(sessionId: SessionId, outbox: Outbox): Promise<void> {
    await this.#unsubscribe.run(this.redis, this.lanes.sessionKey(sessionId), outbox)
  }

  async trim(claim: Claim, projected: readonly Projected[]): Promise<void> {
    const keys = this.lanes.ofShard(claim.shard)
    const each = projected.flatMap((it) => [it.sessionId, it.seq, it.keep])
    // A refusal needs no answer here: whoever owns the shard now trims it.
    await this.#trim.run(this.redis, keys.shard(claim.shard), claim.epoch, keys.base, ...each)
  }
}

function commitArguments({ shard, epoch }: Claim, change: Change): string[] {
  const { sessionId, expectedSeq, commitId, popInbox, popControl, status, clearPart, ended, events } = change
  const counts = `${ended.length} ${events.length}`
  const place = `${shard} ${epoch} ${sessionId} ${expectedSeq} ${commitId}`
  const effects = `${popInbox} ${popControl} ${status} ${clearPart ? 1 : 0}`
  const args = [`${counts} ${place} ${effects}`, change.state ?? '']
  for (const { commandId, eventId } of ended) args.push(commandId, eventId)
  args.push(...events)
  return args
}

const HEAD_FIELDS = ['tenant', 'status', 'epoch', 'seq', 'state'] as const

function sessionHead(sessionId: SessionId, fields: readonly (string | null)[]): SessionHead | undefined {
  const [tenant, status, epoch, seq, state] = fields
  if (!status) return undefined
  return {
    sessionId,
    tenant: tenant ?? '',
    status: status as SessionStatus,
    head: `${epoch ?? 0}-${seq ?? 0}`,
    state: state ?? '',
  }
}

function partOf(messageId: string | null | undefined, text: string | null): Part | undefined {
  return messageId ? { messageId, text: text ?? '' } : undefined
}
