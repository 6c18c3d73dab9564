/**
 * Every process that ever joined the cluster. Its end is final: a dead id never lives again.
 */
import { sql } from 'kysely'
import type { NodeId } from '../protocol/ids.js'
import type { Database } from './database.js'
import type { NodeRole, NodeStatus } from './schema.js'

export interface NewNode {
  readonly id: NodeId
  readonly name: string
  readonly role: NodeRole
  readonly version: string
  readonly capacity: number
}

export interface NodeRecord extends NewNode {
  readonly status: NodeStatus
  readonly startedAt: Date
  readonly endedAt: Date | null
}

const COLUMNS = [
  'id',
  'name',
  'role',
  'version',
  'capacity',
  'status',
  'started_at as startedAt',
  'ended_at as endedAt',
] as const

export class Nodes {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Adds a node as live. An id that is known already is left as it stands. */
  async register({ id, name, role, version, capacity }: NewNode): Promise<void> {
    await this.#database.sql
      .insertInto('nodes')
      .values({ id, name, role, version, capacity })
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  }

  /** False when the node has already ended (`left` or `dead`), or was never there: then nothing has changed. */
  async setStatus(id: NodeId, status: NodeStatus): Promise<boolean> {
    const isEnd = status === 'left' || status === 'dead'
    const changed = await this.#database.sql
      .updateTable('nodes')
      .set({ status, ended_at: isEnd ? sql<Date>`now()` : null })
      .where('id', '=', id)
      .where('status', 'in', ['live', 'draining'])
      .returning('id')
      .execute()
    return changed.length > 0
  }

  /** All that have not ended, draining ones included. */
  async listLive(): Promise<NodeRecord[]> {
    // Index nodes_live.
    return this.#select().where('status', 'in', ['live', 'draining']).orderBy('id').execute()
  }

  async find(id: NodeId): Promise<NodeRecord | undefined> {
    return this.#select().where('id', '=', id).executeTakeFirst()
  }

  /** The last `limit` nodes that started, newest first. */
  async listAll(limit: number): Promise<NodeRecord[]> {
    return this.#select().orderBy('started_at', 'desc').orderBy('id').limit(limit).execute()
  }

  #select() {
    return this.#database.sql.selectFrom('nodes').select(COLUMNS)
  }
}
