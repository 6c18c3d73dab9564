/**
 * The authority on which worker owns which shard. Each row changes only by compare-and-set on its epoch, in one statement
 * for many rows, so two coordinators that both believe to lead can waste work and do no harm.
 */
import { type RawBuilder, sql } from 'kysely'
import type { NodeId } from '../protocol/ids.js'
import type { Database } from './database.js'
import { type Leadership, leads } from './leader.js'
import type { AssignmentState } from './schema.js'

export interface Assignment {
  readonly shard: number
  /** The last owner once the state is `released`; null before the first one. */
  readonly owner: NodeId | null
  readonly epoch: number
  readonly state: AssignmentState
  readonly previousOwner: NodeId | null
  readonly changedAt: Date
}

export interface AssignmentChange {
  readonly shard: number
  /** The epoch that the decision was based on. */
  readonly expectedEpoch: number
  readonly owner: NodeId
}

/** A shard as its owner holds it. */
export interface OwnedShard {
  readonly shard: number
  readonly epoch: number
}

const COLUMNS = sql`
  a.shard, a.owner, a.epoch, a.state, a.previous_owner as "previousOwner", a.changed_at as "changedAt"`

interface ShardNumbers {
  readonly shards: string
}

const SHARD_NUMBERS = sql`string_agg(a.shard::text, ' ') as shards`
const numbersIn = (shards: string): number[] => shards.split(' ').map(Number)

export class ShardAssignments {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Makes rows for shards 0…count-1 that have none yet, without an owner at epoch 0. */
  async ensureShards(count: number): Promise<void> {
    await sql`
      insert into shard_assignments (shard) select shard from generate_series(0, ${count}::int - 1) as shard
      on conflict do nothing`.execute(this.#database.sql)
  }

  /** All shards in their order. */
  async list(): Promise<Assignment[]> {
    return this.#rows(sql`select ${COLUMNS} from shard_assignments a order by a.shard`)
  }

  async find(shard: number): Promise<Assignment | undefined> {
    const [found] = await this.#rows(sql`select ${COLUMNS} from shard_assignments a where a.shard = ${shard}`)
    return found
  }

  /**
   * The shards that `owner` may write, those asked back from it included, in their order. Asked every second by everybody:
   * a row for those that are alike costs a hundredth of a row for each.
   */
  async ownedBy(owner: NodeId): Promise<Omit<Assignment, 'changedAt'>[]> {
    const { rows } = await sql<Omit<Assignment, 'shard' | 'changedAt'> & ShardNumbers>`
      select a.owner, a.epoch, a.state, a.previous_owner as "previousOwner", ${SHARD_NUMBERS} from shard_assignments a
      where a.owner = ${owner} and a.state <> 'released' group by 1, 2, 3, 4`.execute(this.#database.sql)
    return rows
      .flatMap(({ shards, owner, epoch, state, previousOwner }) =>
        numbersIn(shards).map((shard) => ({ shard, owner, epoch, state, previousOwner })),
      )
      .sort((a, b) => a.shard - b.shard)
  }

  /** The owner of each shard, or its last one. */
  async owners(): Promise<Map<number, NodeId>> {
    const { rows } = await sql<{ readonly owner: NodeId } & ShardNumbers>`
      select a.owner, ${SHARD_NUMBERS} from shard_assignments a where a.owner is not null group by 1`.execute(
      this.#database.sql,
    )
    return new Map(rows.flatMap(({ owner, shards }) => numbersIn(shards).map((shard) => [shard, owner] as const)))
  }

  /**
   * Gives shards to owners, each under its next epoch, where the epoch is still the expected one and `leader`, when
   * named, still leads. Returns the rows that changed; the others were decided on an old picture.
   */
  async assign(changes: readonly AssignmentChange[], leader: Leadership | undefined): Promise<Assignment[]> {
    const shards = changes.map(({ shard }) => shard)
    const epochs = changes.map(({ expectedEpoch }) => expectedEpoch)
    const owners = changes.map(({ owner }) => owner)
    return this.#rows(sql`
      update shard_assignments a
      set owner = c.owner, previous_owner = a.owner, epoch = a.epoch + 1, state = 'assigned', changed_at = now()
      from unnest(${shards}::int[], ${epochs}::bigint[], ${owners}::text[]) as c (shard, epoch, owner)
      where a.shard = any (${lockedInOrder(shards)}) and a.shard = c.shard and a.epoch = c.epoch and ${leads(leader)}
      returning ${COLUMNS}`)
  }

  /** Asks owners to give shards back; returns the rows that changed. */
  async requestRelease(shards: readonly OwnedShard[], leader: Leadership | undefined): Promise<Assignment[]> {
    return this.#setState('releasing', shards, sql<boolean>`a.state = 'assigned' and ${leads(leader)}`)
  }

  /** Gives shards back. Called by their owner, and may be repeated; returns the rows that are now released by it. */
  async release(shards: readonly OwnedShard[], owner: NodeId): Promise<Assignment[]> {
    return this.#setState('released', shards, sql<boolean>`a.owner = ${owner}`)
  }

  /** Takes back the request to release shards that their owners did not heed; returns the rows that changed. */
  async withdraw(shards: readonly OwnedShard[], leader: Leadership | undefined): Promise<Assignment[]> {
    return this.#setState('assigned', shards, sql<boolean>`a.state = 'releasing' and ${leads(leader)}`)
  }

  /**
   * Lifts the epoch of a shard that `owner` holds: above one that Redis knows already, as after a restore of an old backup,
   * or away from one under which events were lost for good. Undefined when the shard has another owner or epoch by now.
   */
  async raise({ shard, epoch }: OwnedShard, owner: NodeId, toEpoch: number): Promise<Assignment | undefined> {
    const [raised] = await this.#rows(sql`
      update shard_assignments a set epoch = ${toEpoch}, previous_owner = a.owner, changed_at = now()
      where a.shard = ${shard} and a.epoch = ${epoch} and a.epoch < ${toEpoch} and a.owner = ${owner}
        and a.state <> 'released'
      returning ${COLUMNS}`)
    return raised
  }

  #setState(state: AssignmentState, owned: readonly OwnedShard[], where: RawBuilder<boolean>): Promise<Assignment[]> {
    const shards = owned.map(({ shard }) => shard)
    const epochs = owned.map(({ epoch }) => epoch)
    return this.#rows(sql`
      update shard_assignments a set state = ${state}, changed_at = now()
      from unnest(${shards}::int[], ${epochs}::bigint[]) as c (shard, epoch)
      where a.shard = any (${lockedInOrder(shards)}) and a.shard = c.shard and a.epoch = c.epoch and ${where}
      returning ${COLUMNS}`)
  }

  async #rows(query: RawBuilder<unknown>): Promise<Assignment[]> {
    const { rows } = await (query as RawBuilder<Assignment>).execute(this.#database.sql)
    return rows
  }
}

// Rows are locked in shard order before the first one changes: two callers with the same shards in another order would
// otherwise wait for each other until the server ends one of them.
const lockedInOrder = (shards: readonly number[]): RawBuilder<number[]> => sql<number[]>`array(
  select shard from shard_assignments where shard = any (${shards}::int[]) order by shard for update)`
