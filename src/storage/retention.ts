/**
 * What is removed after its time, at most `limit` rows with each call; every call returns how many it removed.
 */
import { sql, type Transaction } from 'kysely'
import { REMOVED } from './audit-log.js'
import type { Database } from './database.js'
import type { Schema } from './schema.js'

/** Actor of what is noted here. */
const SERVICE = 'service'

export class Retention {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /**
   * Events, files and transcripts of sessions that ended so long ago. The last event stays: whoever resumes finds that there was more,
   * and gets a reset with the session's last snapshot instead of a hole. Oldest events go first, so what is left at any
   * time is an unbroken end.
   */
  async purgeSessions(olderThanMs: number, limit: number): Promise<number> {
    return this.#database.sql.transaction().execute(async (transaction) => {
      // No index: one on `updated_at` would make every projection write to it. Nobody waits for this.
      const { rows: ended } = await sql<{ id: string }>`
        select id from sessions
        where status in ('completed', 'terminated', 'failed') and not purged
          and updated_at < now() - ${olderThanMs}::double precision * interval '1 millisecond'
        limit ${limit}`.execute(transaction)
      const ids = ended.map(({ id }) => id)
      if (ids.length === 0) return 0
      const { rows } = await sql`
        delete from events e using (
          select session_id, epoch, seq from (
            select session_id, epoch, seq, row_number() over (partition by session_id order by epoch desc, seq desc) as n
            from events where session_id = any (${ids}::text[])
          ) r where n > 1 order by session_id, epoch, seq limit ${limit}
        ) d where e.session_id = d.session_id and e.epoch = d.epoch and e.seq = d.seq
        returning e.seq`.execute(transaction)
      if (rows.length === limit) return rows.length
      const theirs = sql<boolean>`session_id = any (${ids}::text[])`
      await transaction.deleteFrom('workspace_files').where(theirs).execute()
      await transaction.deleteFrom('transcripts').where(theirs).execute()
      await transaction.deleteFrom('unbegun_task_ends').where(theirs).execute()
      await transaction.deleteFrom('swarms').where(theirs).execute()
      await transaction
        .updateTable('sessions')
        .set({ purged: true })
        .where(sql<boolean>`id = any (${ids}::text[])`)
        .execute()
      await sql`
        insert into audit_log (tenant, actor, action, subject, detail)
        select tenant, ${SERVICE}, 'session.purged', count(*), json_build_object('sessions', json_agg(id order by id))
        from sessions where id = any (${ids}::text[]) group by tenant order by tenant`.execute(transaction)
      return ids.length
    })
  }

  async purgeDeadLetters(olderThanMs: number, limit: number): Promise<number> {
    return this.#delete(sql`
      delete from dead_letters where id in (
        select id from dead_letters where at < now() - ${olderThanMs}::double precision * interval '1 millisecond'
        limit ${limit})
      returning id`)
  }

  /**
   * Notes of tool calls that began so long ago, once the turn that they belong to has ended: while it has not, they keep its
   * calls from running twice. A note does not name its turn, so a session in a turn keeps all of its notes until then, and
   * where nothing has ended since the note was made, only the end of the session tells that nobody needs it.
   */
  async purgeToolIntents(olderThanMs: number, limit: number): Promise<number> {
    // No index, as above. `tasks` are found by tasks_pkey; their times are those of workers, whose clocks may be off.
    return this.#delete(sql`
      delete from tool_intents i using (
        select session_id, command_id, step, position from tool_intents n
        where at < now() - ${olderThanMs}::double precision * interval '1 millisecond'
          and not exists (select from tasks t where t.session_id = n.session_id and t.status = 'in_progress')
          and (exists (select from tasks t where t.session_id = n.session_id and t.ended_at > n.at - interval '2 hours')
            or not exists (select from sessions s where s.id = n.session_id
                           and s.status not in ('completed', 'terminated', 'failed')))
        limit ${limit}
      ) d where (i.session_id, i.command_id, i.step, i.position) = (d.session_id, d.command_id, d.step, d.position)
      returning i.step`)
  }

  /** Nodes that ended so long ago, but for those whose version still says which worker may take their shards. */
  async purgeNodes(olderThanMs: number, limit: number): Promise<number> {
    return this.#delete(sql`
      delete from nodes where id in (
        select id from nodes n
        where ended_at < now() - ${olderThanMs}::double precision * interval '1 millisecond'
          and not exists (select from shard_assignments a where n.id in (a.owner, a.previous_owner))
        limit ${limit})
      returning id`)
  }

  async purgeRequests(olderThanMs: number, limit: number): Promise<number> {
    return this.#delete(sql`
      delete from cluster_requests where id in (
        select id from cluster_requests
        where ended_at < now() - ${olderThanMs}::double precision * interval '1 millisecond'
          and (held_until is null or held_until < now())
        limit ${limit})
      returning id`)
  }

  /**
   * The oldest rows of one tenant's audit log; what is left is still a chain. A row at its end says what was removed, and
   * with which hash it ended: the first row that is left follows on that one.
   */
  async purgeAudit(olderThanMs: number, limit: number): Promise<number> {
    return this.#database.sql.transaction().execute(async (transaction) => {
      const tenant = await this.#oldestChain(transaction, olderThanMs)
      if (tenant === undefined) return 0
      // Nobody else adds to the chain or takes from it meanwhile.
      await sql`select from audit_heads where tenant = ${tenant} for update`.execute(transaction)
      const { rows } = await sql<{ seq: number; hash: string; old: boolean }>`
        select seq, hash, at < now() - ${olderThanMs}::double precision * interval '1 millisecond' as old
        from audit_log where tenant = ${tenant} order by seq limit ${limit}`.execute(transaction)
      const young = rows.findIndex(({ old }) => !old)
      const removed = young === -1 ? rows : rows.slice(0, young)
      const last = removed.at(-1)
      if (!last) return 0
      await sql`delete from audit_log where tenant = ${tenant} and seq <= ${last.seq}`.execute(transaction)
      const detail = JSON.stringify({ upTo: last.seq, hash: last.hash, rows: removed.length })
      await sql`
        insert into audit_log (tenant, actor, action, subject, detail)
        values (${tenant}, ${SERVICE}, ${REMOVED}, ${String(last.seq)}, ${detail}::json)`.execute(transaction)
      return removed.length
    })
  }

  /** One whose first row is old enough, unless all that is old in it tells of removals: that would go on for ever. */
  async #oldestChain(transaction: Transaction<Schema>, olderThanMs: number): Promise<string | undefined> {
    const cutoff = sql`now() - ${olderThanMs}::double precision * interval '1 millisecond'`
    // Index audit_log_chain.
    const { rows } = await sql<{ tenant: string }>`
      select h.tenant from audit_heads h
        cross join lateral (select at from audit_log a where a.tenant = h.tenant order by seq limit 1) first
      where first.at < ${cutoff}
        and exists (select from audit_log a where a.tenant = h.tenant and a.at < ${cutoff} and a.action <> ${REMOVED})
      limit 1`.execute(transaction)
    return rows[0]?.tenant
  }

  async #delete(query: ReturnType<typeof sql>): Promise<number> {
    return (await query.execute(this.#database.sql)).rows.length
  }
}
