/**
 * Events and state of sessions in Redis. Each write is one script that checks the owner's epoch before it changes
 * anything; see `lua/` for what is stored.
 */
import { formatEventId, parseEventId, type SessionId } from '../protocol/ids.js'
import type { SessionStatus } from '../protocol/session.js'
import type { RedisClient } from '../redis/connect.js'
import { KEY_LAYOUT } from '../redis/keys.js'
import { Script } from '../redis/script.js'
import { type ItemReply, ScriptBatch } from '../redis/script-batch.js'
import {
  type Change,
  type Claim,
  type Claimed,
  type Committed,
  type Fenced,
  type Flushed,
  type Hibernated,
  LIMITS,
  type Part,
  type Projected,
  type Refused,
  type Rest,
  type Resumed,
  type SessionHead,
  type SessionLog,
  type SessionRecord,
  type StoredEvent,
  type TextFlush,
} from './bus.js'
import type { Outbox } from './command.js'
import type { DormantSession, SeenCommand } from './dormant.js'
import type { Lanes } from './lanes.js'
import { claimed, refusal, refused, storedEvents, word, words } from './replies.js'

/** Changes in one call: some 20 µs of the server each. */
const CHANGES_PER_CALL = 48
const FLUSHES_PER_CALL = 64
/** A session that remembers a thousand commands brings some 60 KB. */
const RESTS_PER_CALL = 16
/** A single change may be as large: see LIMITS.charsPerCommit. */
const CHARS_PER_CALL = 256 * 1024

/** Redis values before the entries in a reply of `resume`. */
const RESUME_HEADER = 4

export class RedisSessionLog implements SessionLog {
  readonly #claim = new Script(new URL('./lua/claim.lua', import.meta.url))
  readonly #release = new Script(new URL('./lua/release.lua', import.meta.url))
  readonly #commit: ScriptBatch
  readonly #flush: ScriptBatch
  readonly #rest: ScriptBatch
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
    this.#rest = new ScriptBatch(redis, new Script(new URL('./lua/hibernate.lua', import.meta.url)), {
      ...{ head: (base) => [base], chars: CHARS_PER_CALL, refused, items: RESTS_PER_CALL },
      following: (line) => (line.startsWith('idle ') ? REST_VALUES + 2 * rememberedIn(line.split(' ')) : 0),
    })
  }

  async claim(claim: Claim): Promise<Claimed | Fenced> {
    const { base, shard } = this.lanes.ofShard(claim.shard)
    const key = shard(claim.shard)
    return claimed(await this.#claim.run(this.redis, key, claim.owner, claim.epoch, KEY_LAYOUT, base, 0))
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
    return refusal(reply) ?? { status: 'corrupt' }
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
      this.redis.hmget(key, ...HEAD_FIELDS, 'floor', 'part', 'commit'),
      this.redis.lrange(`${key}:inbox`, 0, -1),
      this.redis.lrange(`${key}:control`, 0, -1),
      this.redis.get(`${key}:part`),
    ])
    const head = sessionHead(sessionId, fields)
    if (!head) return undefined
    const [floor, messageId, commit] = fields.slice(HEAD_FIELDS.length)
    const part = partOf(messageId, text)
    return { ...head, floor: floor ?? '0-0', part, inbox, control, lastCommit: commit ?? '' }
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

  async rest(claim: Claim, sessionId: SessionId): Promise<Rest | Refused> {
    const reply = await this.#restOf(claim, sessionId, '')
    const line = words(reply)
    if (word(line) === 'idle') return { status: 'idle', session: dormantSession(sessionId, reply) }
    return refusal(line) ?? { status: word(line) as Exclude<Rest['status'], 'idle'> }
  }

  async hibernate(claim: Claim, session: DormantSession): Promise<Hibernated | Refused> {
    const { sessionId, head, accepted, commit } = session
    const version = `${parseEventId(head)?.seq ?? 0} ${accepted} ${commit}`
    const line = words(await this.#restOf(claim, sessionId, version))
    return refusal(line) ?? { status: word(line) as Hibernated['status'] }
  }

  async dropGoneEdges(claim: Claim, sessionId: SessionId): Promise<void> {
    await this.#restOf(claim, sessionId, NO_VERSION)
  }

  #restOf(claim: Claim, sessionId: SessionId, version: string): Promise<ItemReply> {
    const { base, shard } = this.lanes.ofShard(claim.shard)
    return this.#rest.run(base, shard(claim.shard), [`${claim.shard} ${claim.epoch} ${sessionId}`, version])
  }
}

/** No session is in this version, so that none is read or dropped. */
const NO_VERSION = '-'

/** Words of an `idle` reply, and values before the remembered commands. */
const [YOUNGER_WORD, OLDER_WORD, REST_VALUES] = [6, 7, 2]

const rememberedIn = (line: readonly string[]): number => Number(line[YOUNGER_WORD]) + Number(line[OLDER_WORD])

function dormantSession(sessionId: SessionId, [line, commit = '', state = '', ...pairs]: ItemReply): DormantSession {
  const [, epoch, seq, accepted, status, tenant = '', younger] = line.split(' ')
  const seen: SeenCommand[] = []
  for (let at = 0; at < pairs.length; at += 2) seen.push([pairs[at] ?? '', pairs[at + 1] ?? ''])
  const seenBefore = seen.splice(Number(younger))
  const head = formatEventId(Number(epoch), Number(seq))
  const about = { sessionId, tenant, status: status as SessionStatus, head, commit, state }
  return { ...about, accepted: Number(accepted), seen, seenBefore }
}

/** Session and age in turn, as ZRANGE returns members and scores. */
function commitArguments({ shard, epoch }: Claim, change: Change): string[] {
  const { sessionId, expectedSeq, commitId, popInbox, popControl, status, clearPart, ended, events } = change
  const counts = `${ended.length} ${events.length}`
  const after = change.after === undefined ? '-' : change.after || '.'
  const place = `${shard} ${epoch} ${sessionId} ${expectedSeq} ${commitId} ${after} ${change.eventEpoch ?? epoch}`
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
