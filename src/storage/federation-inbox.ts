/**
 * Broadcasts: one row for each receiver, which stays until that receiver has acknowledged it or it has expired.
 */
import { sql } from 'kysely'
import type { Database } from './database.js'
import { queryableJson } from './text.js'

/** Messages that wait for one orchestrator; a receiver that reads nothing gets no more. */
const MAX_WAITING = 1_000
/** Messages in one answer. */
const PAGE = 100
/** Rows that one call forgets at most. */
const FORGET_BATCH = 1_000

export interface Broadcast {
  readonly id: string
  readonly sender: string
  readonly body: unknown
  readonly receivers: readonly string[]
  readonly lifetimeMs: number
}

export interface InboxMessage {
  readonly id: string
  readonly sender: string
  readonly body: unknown
  readonly sentAt: Date
  readonly expiresAt: Date
}

/** Receivers of a broadcast that has not expired. */
export interface Delivery {
  readonly delivered: readonly string[]
  readonly acknowledged: readonly string[]
}

export class FederationInbox {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Puts a message into the inboxes of all receivers and names those that have it. The same id again adds nothing. */
  async send(tenant: string, { id, sender, body, receivers, lifetimeMs }: Broadcast): Promise<readonly string[]> {
    await sql`
      insert into federation_inbox (tenant, orchestrator, broadcast, sender, body, expires_at)
      select ${tenant}, r.id, ${id}, ${sender}, ${queryableJson(JSON.stringify(body))}::json,
        now() + ${lifetimeMs}::double precision * interval '1 millisecond'
      from unnest(${receivers}::text[]) as r (id)
      where (select count(*) from federation_inbox i
        where i.tenant = ${tenant} and i.orchestrator = r.id and acknowledged_at is null and expires_at > now()
        ) < ${MAX_WAITING}
      on conflict do nothing`.execute(this.#database.sql)
    return (await this.delivery(tenant, id)).delivered
  }

  /** What waits for an orchestrator, oldest first. */
  async read(tenant: string, orchestrator: string): Promise<readonly InboxMessage[]> {
    // Index federation_inbox_pkey.
    return this.#database.sql
      .selectFrom('federation_inbox')
      .select(['broadcast as id', 'sender', 'body', 'sent_at as sentAt', 'expires_at as expiresAt'])
      .where('tenant', '=', tenant)
      .where('orchestrator', '=', orchestrator)
      .where('acknowledged_at', 'is', null)
      .where('expires_at', '>', sql<Date>`now()`)
      .orderBy('sent_at')
      .orderBy('broadcast')
      .limit(PAGE)
      .execute()
  }

  /** False when there is no such message, or it has expired. May be repeated. */
  async acknowledge(tenant: string, orchestrator: string, id: string): Promise<boolean> {
    const { rows } = await sql`
      update federation_inbox set acknowledged_at = coalesce(acknowledged_at, now())
      where tenant = ${tenant} and orchestrator = ${orchestrator} and broadcast = ${id} and expires_at > now()
      returning broadcast`.execute(this.#database.sql)
    return rows.length > 0
  }

  async delivery(tenant: string, id: string): Promise<Delivery> {
    // Index federation_inbox_by_broadcast.
    const rows = await this.#database.sql
      .selectFrom('federation_inbox')
      .select(['orchestrator', 'acknowledged_at as acknowledgedAt'])
      .where('tenant', '=', tenant)
      .where('broadcast', '=', id)
      .orderBy('orchestrator')
      .execute()
    const acknowledged = rows.filter(({ acknowledgedAt }) => acknowledgedAt !== null)
    return { delivered: rows.map((it) => it.orchestrator), acknowledged: acknowledged.map((it) => it.orchestrator) }
  }

  /** Forgets what has expired. */
  async forgetExpired(): Promise<void> {
    // Index federation_inbox_by_expiry.
    await sql`
      delete from federation_inbox where (tenant, orchestrator, broadcast) in (
        select tenant, orchestrator, broadcast from federation_inbox
        where expires_at <= now() order by expires_at limit ${FORGET_BATCH})`.execute(this.#database.sql)
  }
}
