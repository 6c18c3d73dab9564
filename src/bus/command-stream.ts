/**
 * Commands of a shard over a Redis stream: edges append and ring the owner's bell, the owner accepts what waits.
 *
 * Why no consumer group: XREADGROUP is a write that no epoch can fence. A stopped owner that still blocks in it takes
 * the next command into its pending list, while later ones go to the new owner.
 */
import { type NodeId, parseEventId, type SessionId } from '../protocol/ids.js'
import type { RedisClient } from '../redis/connect.js'
import { Script } from '../redis/script.js'
import { ScriptBatch } from '../redis/script-batch.js'
import {
  type Acceptance,
  type Accepted,
  type AcceptedCommand,
  type Claim,
  type CommandBell,
  type CommandStream,
  type Hydrated,
  LIMITS,
  type Refused,
  type Submitted,
} from './bus.js'
import type { Outbox, Submission } from './command.js'
import { BELL_RINGS, RedisCommandBell } from './command-bell.js'
import type { DormantSession, Whereabouts } from './dormant.js'
import type { Lanes } from './lanes.js'
import { detailOf, refusal, refused, words } from './replies.js'

/** Values that `accept` returns for each command: head, id and body. */
const COMMAND_VALUES = 3
/** Some 5 µs of the server each. */
const SUBMISSIONS_PER_CALL = 64
/** The commands of one call are bounded by the script; a shard where nothing waits costs 2 µs. */
const SHARDS_PER_CALL = 64
const CHARS_PER_CALL = 256 * 1024
const UNKNOWN_CURSOR = '-'

export class RedisCommandStream implements CommandStream {
  readonly #submit: ScriptBatch
  readonly #accept: ScriptBatch
  readonly #hydrate = new Script(new URL('./lua/hydrate.lua', import.meta.url))
  #admitsWork = true

  constructor(
    private readonly redis: RedisClient,
    private readonly lanes: Lanes,
    /** Opens a connection for blocking reads. */
    private readonly connectReader: () => Promise<RedisClient>,
  ) {
    this.#submit = new ScriptBatch(redis, new Script(new URL('./lua/submit.lua', import.meta.url)), {
      head: (base) => [base, LIMITS.shardCommands, LIMITS.shardBytes, BELL_RINGS],
      items: SUBMISSIONS_PER_CALL,
      chars: CHARS_PER_CALL,
      refused,
    })
    this.#accept = new ScriptBatch(redis, new Script(new URL('./lua/accept.lua', import.meta.url)), {
      head: (base) => acceptHead(base, this.#admitsWork),
      items: SHARDS_PER_CALL,
      chars: CHARS_PER_CALL,
      refused,
      following: (line) => (line.startsWith('ok ') ? COMMAND_VALUES * Number(line.split(' ')[2]) : 0),
    })
  }

  async submit(submission: Submission): Promise<Submitted> {
    const { sessionId, commandId, body } = submission
    const { shard, keys } = this.lanes.locate(sessionId)
    const reply = await this.#submit.run(keys.base, keys.shard(shard), [shard, headOf(submission), commandId, body])
    return reply[0] === 'ok' ? { status: 'ok' } : { status: 'busy', retryAfterMs: LIMITS.busyRetryMs }
  }

  openBell(
    owner: NodeId,
    onWaiting: (shard: number) => void,
    onLost: () => void,
    placeOf: (shard: number) => string | undefined = () => undefined,
  ): CommandBell {
    const { redis, lanes, connectReader } = this
    return new RedisCommandBell({ owner, redis, lanes, connect: connectReader, onWaiting, onLost, placeOf })
  }

  async accept({ shard, epoch }: Claim, cursor = UNKNOWN_CURSOR): Promise<Accepted | Refused> {
    const keys = this.lanes.ofShard(shard)
    const reply = await this.#accept.run(keys.base, keys.shard(shard), [shard, epoch, cursor])
    const line = words(reply)
    const refused = refusal(line)
    if (refused) return refused
    const [, more, , to = '', moved] = line
    return { status: 'ok', more: more === '1', commands: acceptedCommands(reply), cursor: to, skipped: moved === '1' }
  }

  admitWork(admitted: boolean): void {
    this.#admitsWork = admitted
  }

  async hydrate({ shard, epoch }: Claim, sessionId: SessionId, found: Whereabouts): Promise<Hydrated | Refused> {
    const { base, shard: keyOf } = this.lanes.ofShard(shard)
    const args = [epoch, base, sessionId, found.kind, ...HYDRATE_LIMITS, ...whereabouts(found)]
    const reply = await this.#hydrate.run(this.redis, keyOf(shard), ...args)
    return refusal(reply) ?? { status: 'ok', commands: acceptedCommands(reply as readonly string[]) }
  }
}

const acceptHead = (base: string, admitsWork: boolean) => [
  base,
  LIMITS.acceptCommands,
  `${admitsWork ? LIMITS.inboxCommands : 0} ${LIMITS.inboxCommands}`,
  LIMITS.inboxBytes,
  LIMITS.seenCommands,
  LIMITS.outEntries,
  LIMITS.coldCommands,
  LIMITS.coldBytes,
]

const HYDRATE_LIMITS = [LIMITS.inboxCommands, LIMITS.inboxBytes, LIMITS.seenCommands, LIMITS.outEntries]

/** What `hydrate` is told of a session: nothing but the remembered ids when it is not to be created. */
function whereabouts(found: Whereabouts): (string | number)[] {
  if (found.kind === 'hibernated') return dormant(found.session)
  const [status, seen] = found.kind === 'ended' ? [found.status, found.seen] : ['', []]
  return [status, '', 0, 0, '', '', 0, seen.length, 0, ...seen.flat()]
}

function dormant({ status, tenant, head, state, commit, accepted, seen, seenBefore }: DormantSession) {
  const { epoch, seq } = parseEventId(head) ?? { epoch: 0, seq: 0 }
  const remembered = [...seen, ...seenBefore].flat()
  return [status, tenant, epoch, seq, state, commit, accepted, seen.length, seenBefore.length, ...remembered]
}

/** What routing needs, in one field: a client's own id may hold spaces, the rest cannot. */
const headOf = ({ sessionId, type, outbox, tenant, fresh }: Submission): string =>
  `${sessionId} ${type} ${outbox} ${tenant} ${fresh ? 1 : 0}`

function acceptedCommands(reply: readonly string[]): AcceptedCommand[] {
  const commands: AcceptedCommand[] = []
  for (let at = 1; at < reply.length; at += COMMAND_VALUES) {
    commands.push(acceptedCommand(reply[at] ?? '', reply[at + 1] ?? '', reply[at + 2] ?? ''))
  }
  return commands
}

function acceptedCommand(head: string, commandId: string, body: string): AcceptedCommand {
  const [sessionId = '', status, detail = '', type, outbox, tenant = '', fresh] = head.split(' ')
  return {
    submission: {
      sessionId,
      commandId,
      type: type as Submission['type'],
      tenant,
      outbox: outbox as Outbox,
      fresh: fresh === '1',
      body,
    },
    acceptance: { sessionId, commandId, status: status as Acceptance['status'], detail: detailOf(detail) },
  }
}
