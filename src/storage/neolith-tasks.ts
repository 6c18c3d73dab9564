/**
 * Tasks that people give in Neolith: one row from the message that asks until the answer has been written, which stays for a
 * week so that an event that comes again is known. Only who holds a row's lease moves it on.
 */
import { type RawBuilder, sql } from 'kysely'
import type { Position } from '../protocol/commands.js'
import type { Database } from './database.js'
import { queryableJson, storableText } from './text.js'

const ENDS_KEPT = sql`interval '7 days'`
const FORGET_BATCH = 500

export interface NewNeolithTask {
  readonly channelId: string
  /** Of the message that asks; the answer goes into its thread. */
  readonly messageId: string
  readonly content: string
  /** Id of the person who asks. */
  readonly author: string | null
  /** Where the message asks for nothing, and answers what a task waits for. */
  readonly answers?: NeolithAnswer | null
}

/** What somebody says to a task that waits for a person. */
export interface NeolithAnswer {
  /** Of the task: the message that asked for it. Null where it was said outside of any thread. */
  readonly thread: string | null
  readonly decision: 'approve' | 'reject' | 'unclear'
  readonly reason: string
}

/** What is being written to Neolith. */
export interface Posting {
  /** Stands in the message's metadata, where it is looked for when nobody knows whether it arrived. */
  readonly key: string
  readonly content: string
  readonly kind: PostingKind
  readonly taskId: string | null
  /** How far the story is told when it has arrived. */
  readonly position: Position
}
export type PostingKind = 'started' | 'progress' | 'approval' | 'result' | 'failed' | 'cancelled' | 'answer'

export interface NeolithTaskRow extends NewNeolithTask {
  readonly orchestrator: string
  readonly sessionId: string | null
  readonly position: Position | null
  readonly posting: Posting | null
  readonly failures: number
}

/** `refused`: the service did not take it. `unanswered`: Neolith did not take the answer. */
export type NeolithTaskEnd = 'answered' | 'refused' | 'unanswered'

export type NeolithTaskKey = Pick<NeolithTaskRow, 'orchestrator' | 'messageId'>
/** Who holds the row. */
type Held = NeolithTaskKey & { readonly watcher: string }

const COLUMNS = sql`orchestrator, message_id as "messageId", channel_id as "channelId", author, content,
  session_id as "sessionId", position, posting, failures, answers`

const after = (ms: number): RawBuilder<Date> => sql<Date>`now() + ${ms}::double precision * interval '1 millisecond'`
const json = (value: object): string => queryableJson(JSON.stringify(value))
const held = ({ orchestrator, messageId, watcher }: Held): RawBuilder<boolean> => sql`
  orchestrator = ${orchestrator} and message_id = ${messageId} and ended_at is null
    and watcher = ${watcher} and watched_until > now()`

export class NeolithTasks {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Up to when events were taken in; undefined before the first time. */
  async since(orchestrator: string): Promise<Date | undefined> {
    const { rows } = await sql<{ since: Date }>`
      select since from neolith_events where orchestrator = ${orchestrator}`.execute(this.#database.sql)
    return rows[0]?.since
  }

  /** Takes tasks in, each once, and notes up to when. Returns how many are new. */
  async take(orchestrator: string, tasks: readonly NewNeolithTask[], since: Date): Promise<number> {
    return this.#database.sql.transaction().execute(async (transaction) => {
      let taken = 0
      for (const { channelId, messageId, content, author, answers } of tasks) {
        const { rows } = await sql`
          insert into neolith_tasks (orchestrator, message_id, channel_id, author, content, answers)
          values (${orchestrator}, ${messageId}, ${channelId}, ${author}, ${storableText(content)},
            ${answers ? json(answers) : null}::json)
          on conflict do nothing returning message_id`.execute(transaction)
        taken += rows.length
      }
      await sql`
        insert into neolith_events (orchestrator, since) values (${orchestrator}, ${since})
        on conflict (orchestrator) do update set since = greatest(neolith_events.since, excluded.since)`.execute(
        transaction,
      )
      return taken
    })
  }

  /** Messages of a channel that asked for tasks which are not over. */
  async openIn(orchestrator: string, channelId: string): Promise<ReadonlySet<string>> {
    // Index neolith_tasks_open.
    const { rows } = await sql<{ messageId: string }>`
      select message_id as "messageId" from neolith_tasks
      where orchestrator = ${orchestrator} and ended_at is null and channel_id = ${channelId} and answers is null
      `.execute(this.#database.sql)
    return new Set(rows.map(({ messageId }) => messageId))
  }

  async find({ orchestrator, messageId }: NeolithTaskKey): Promise<NeolithTaskRow | undefined> {
    const { rows } = await sql<NeolithTaskRow>`
      select ${COLUMNS} from neolith_tasks where orchestrator = ${orchestrator} and message_id = ${messageId}`.execute(
      this.#database.sql,
    )
    return rows[0]
  }

  /** Takes charge of open tasks, or of answers to them, that nobody sees to now, those that are due longest first. */
  async claim(
    orchestrator: string,
    watcher: string,
    leaseMs: number,
    limit: number,
    kind: 'tasks' | 'answers' = 'tasks',
  ): Promise<readonly NeolithTaskRow[]> {
    // Index neolith_tasks_open.
    const { rows } = await sql<NeolithTaskRow>`
      update neolith_tasks t set watcher = ${watcher}, watched_until = ${after(leaseMs)}
      from (
        select orchestrator as o, message_id as m from neolith_tasks
        where orchestrator = ${orchestrator} and ended_at is null and not_before <= now()
          and (watched_until is null or watched_until <= now()) and (answers is null) = ${kind === 'tasks'}
        order by not_before limit ${limit} for update skip locked) due
      where t.orchestrator = due.o and t.message_id = due.m
      returning ${COLUMNS}`.execute(this.#database.sql)
    return rows
  }

  /** Prolongs the charge of some; what is missing from the answer has passed on to others, or has ended. */
  async renew(watcher: string, keys: readonly NeolithTaskKey[], leaseMs: number): Promise<ReadonlySet<string>> {
    const { rows } = await sql<{ messageId: string }>`
      update neolith_tasks t set watched_until = ${after(leaseMs)}
      from unnest(${keys.map((key) => key.orchestrator)}::text[], ${keys.map((key) => key.messageId)}::text[]) as h (o, m)
      where t.orchestrator = h.o and t.message_id = h.m and ended_at is null
        and watcher = ${watcher} and watched_until > now()
      returning message_id as "messageId"`.execute(this.#database.sql)
    return new Set(rows.map(({ messageId }) => messageId))
  }

  /** Lets go of everything that `watcher` sees to, so that others may take it at once. */
  async letGo(watcher: string): Promise<void> {
    await sql`
      update neolith_tasks set watcher = null, watched_until = null
      where ended_at is null and watcher = ${watcher}`.execute(this.#database.sql)
  }

  /** Notes the session that does it. False: somebody else sees to the task now. */
  async noteSession(row: Held, sessionId: string): Promise<boolean> {
    return this.#change(row, sql`session_id = ${sessionId}`)
  }

  /** Before anything is written to Neolith. False: somebody else sees to the task now, and nothing may be written. */
  async announce(row: Held, posting: Posting): Promise<boolean> {
    return this.#change(row, sql`posting = ${json({ ...posting, content: storableText(posting.content) })}::json`)
  }

  /** It has arrived. */
  async posted(row: Held, { position }: Posting): Promise<boolean> {
    return this.#change(row, sql`posting = null, failures = 0, position = ${json(position)}::json`)
  }

  /** To be gone on with after a pause, by anybody. */
  async postpone(row: Held, pauseMs: number): Promise<void> {
    await this.#change(
      row,
      sql`failures = failures + 1, not_before = ${after(pauseMs)}, watcher = null, watched_until = null`,
    )
  }

  async finish(row: Held, status: NeolithTaskEnd): Promise<boolean> {
    return this.#change(
      row,
      sql`ended_at = now(), end_status = ${status}, posting = null, watcher = null, watched_until = null`,
    )
  }

  /** Forgets tasks that were answered a week ago. */
  async forgetOld(): Promise<void> {
    // Index neolith_tasks_ended.
    await sql`
      delete from neolith_tasks where (orchestrator, message_id) in (
        select orchestrator, message_id from neolith_tasks
        where ended_at <= now() - ${ENDS_KEPT} order by ended_at limit ${FORGET_BATCH})`.execute(this.#database.sql)
  }

  async #change(row: Held, changes: RawBuilder<unknown>): Promise<boolean> {
    const { rows } = await sql`
      update neolith_tasks set ${changes} where ${held(row)} returning message_id`.execute(this.#database.sql)
    return rows.length > 0
  }
}
