/**
 * What operators ask of the leader. Rows stay until retention removes them, so that whoever asked can read what became of
 * it.
 */
import { type RawBuilder, sql } from 'kysely'
import type { NodeId } from '../protocol/ids.js'
import { SERVICE_CHAIN } from './audit-log.js'
import type { Database } from './database.js'
import { type Leadership, leads } from './leader.js'
import { storableText } from './text.js'

export type NewClusterRequest =
  | { readonly kind: 'move'; readonly shard: number; readonly target: NodeId }
  | { readonly kind: 'rebalance' }

export type RequestState = 'waiting' | 'done' | 'refused'

export interface ClusterRequest {
  readonly id: number
  readonly kind: NewClusterRequest['kind']
  readonly shard: number | null
  readonly target: NodeId | null
  readonly state: RequestState
  readonly outcome: string | null
  /** Since it was asked, in ms of the database's clock. */
  readonly ageMs: number
}

export interface RequestEnd {
  readonly id: number
  readonly state: Exclude<RequestState, 'waiting'>
  readonly outcome: string
  /** For how long the shard is to stay where it was moved. */
  readonly heldMs?: number
}

const COLUMNS = sql`id, kind, shard, target, state, outcome,
  (extract(epoch from now() - requested_at) * 1000)::float8 as "ageMs"`

export class ClusterRequests {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Returns the id under which it can be looked up; the audit log keeps who asked. */
  async add(request: NewClusterRequest, by: string): Promise<number> {
    const { kind, shard, target } = { shard: null, target: null, ...request }
    const subject = shard === null ? 'cluster' : `shard:${shard}`
    const { rows } = await sql<{ id: number }>`
      with made as (
        insert into cluster_requests (kind, shard, target) values (${kind}, ${shard}, ${target}) returning id, target
      ), noted as (
        insert into audit_log (tenant, actor, action, subject, detail)
        select ${SERVICE_CHAIN}, ${storableText(by)}, ${`cluster.${kind}`}, ${subject},
          json_build_object('request', id, 'target', target) from made
      )
      select id from made`.execute(this.#database.sql)
    const [made] = rows
    if (!made) throw new Error('a request was not made')
    return made.id
  }

  async find(id: number): Promise<ClusterRequest | undefined> {
    const [found] = await this.#rows(sql`select ${COLUMNS} from cluster_requests where id = ${id}`)
    return found
  }

  /** What waits, and moves whose shards are still to stay, in the order in which they were asked. */
  async listOpen(): Promise<ClusterRequest[]> {
    // Indexes cluster_requests_open and cluster_requests_held.
    return this.#rows(sql`
      select ${COLUMNS} from cluster_requests where state = 'waiting' or held_until > now() order by id`)
  }

  /** Ends what waits, as long as `leader` leads. May be repeated. */
  async end({ id, state, outcome, heldMs }: RequestEnd, leader: Leadership): Promise<void> {
    const held = heldMs === undefined ? null : sql<Date>`now() + ${heldMs}::double precision * interval '1 millisecond'`
    await sql`
      update cluster_requests set state = ${state}, outcome = ${outcome}, ended_at = now(), held_until = ${held}
      where id = ${id} and state = 'waiting' and ${leads(leader)}`.execute(this.#database.sql)
  }

  async #rows(query: RawBuilder<unknown>): Promise<ClusterRequest[]> {
    const { rows } = await (query as RawBuilder<ClusterRequest>).execute(this.#database.sql)
    return rows
  }
}
