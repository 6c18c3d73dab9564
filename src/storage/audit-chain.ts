/**
 * Whether the audit log is what was written into it. Each row's hash is SHA-256 of the hash before it and of the row; it is
 * computed here once more, so that whoever can write into the database cannot also decide what counts as whole. What a
 * chain alone cannot show, that all of it was written anew, shows against the heads of an earlier check (`Anchor`).
 */
import { createHash } from 'node:crypto'
import { sql, type Transaction } from 'kysely'
import { REMOVED } from './audit-log.js'
import type { Database } from './database.js'
import type { Schema } from './schema.js'

/** Rows that are read at a time: some MB at most. */
const PAGE = 1_000
/** Before the first row of a chain. */
const GENESIS = '0'.repeat(64)
/** Below any number that somebody could give a row. */
const FAR_BEFORE = Number.MIN_SAFE_INTEGER

/** A place in a chain: a row's number and its hash. */
export interface Link {
  readonly seq: number
  readonly hash: string
}

export interface Anchor extends Link {
  readonly tenant: string
}

/** The first row that is not as it was written, or is missing. */
export interface Break {
  readonly seq: number
  /** A sentence. */
  readonly problem: string
}

export interface ChainReport {
  readonly tenant: string
  /** Rows that were read. */
  readonly rows: number
  /** The last row as the chain's head has it: an anchor for later checks. */
  readonly head: Link
  /** Undefined: every row is what was written. */
  readonly broken?: Break
}

/** A row in the words that are hashed. */
export interface ChainedRow {
  readonly seq: number
  /** ms since 1970. */
  readonly at: number
  readonly tenant: string
  readonly actor: string
  readonly action: string
  readonly sessionId: string | null
  readonly subject: string
  /** As it stands there, to the letter. */
  readonly detail: string
  readonly hash: string
}

/** The same as `audit_hash` of the database. */
export function hashOf(previous: string, row: ChainedRow): string {
  const { seq, at, tenant, actor, action, sessionId, subject, detail } = row
  const fields = [String(seq), String(at), tenant, actor, action, sessionId, subject, detail]
  const text = fields.map((field) => (field === null ? '-' : `${Buffer.byteLength(field)}:${field}`)).join('')
  return createHash('sha256').update(`${previous}${text}`).digest('hex')
}

/** Checks one chain, or all; changes nothing, and sees the log as it stood at one moment. */
export function verifyAudit(
  database: Database,
  { tenant, anchors = [] }: { readonly tenant?: string | undefined; readonly anchors?: readonly Anchor[] } = {},
): Promise<ChainReport[]> {
  const frozen = database.sql.transaction().setIsolationLevel('repeatable read').setAccessMode('read only')
  return frozen.execute(async (transaction) => {
    const known = await tenantsOf(transaction)
    const all = [...new Set([...known, ...anchors.map((anchor) => anchor.tenant)])].sort()
    const reports: ChainReport[] = []
    for (const each of all.filter((name) => tenant === undefined || name === tenant)) {
      reports.push(
        await new ChainWalk(
          transaction,
          each,
          anchors.filter((anchor) => anchor.tenant === each),
        ).report(),
      )
    }
    return reports
  })
}

/** Also of rows whose head is gone. */
async function tenantsOf(transaction: Transaction<Schema>): Promise<string[]> {
  const { rows } = await sql<{ tenant: string }>`
    select tenant from audit_heads union select distinct tenant from audit_log`.execute(transaction)
  return rows.map(({ tenant }) => tenant)
}

class ChainWalk {
  readonly #database: Transaction<Schema>
  readonly #tenant: string
  readonly #anchors: ReadonlyMap<number, string>
  #rows = 0

  constructor(database: Transaction<Schema>, tenant: string, anchors: readonly Anchor[]) {
    this.#database = database
    this.#tenant = tenant
    this.#anchors = new Map(anchors.map(({ seq, hash }) => [seq, hash]))
  }

  async report(): Promise<ChainReport> {
    const head = await this.#head()
    const broken = await this.#walk(head)
    return { tenant: this.#tenant, rows: this.#rows, head, ...(broken && { broken }) }
  }

  async #walk(head: Link): Promise<Break | undefined> {
    const [first] = await this.#page(FAR_BEFORE, 1)
    let last = first ? await this.#start(first.seq) : { seq: 0, hash: GENESIS }
    if ('problem' in last) return last
    for (;;) {
      const page = await this.#page(last.seq, PAGE)
      if (page.length === 0) return this.#end(last, head)
      for (const row of page) {
        const broken = this.#judge(last, row)
        if (broken) return broken
        last = row
      }
    }
  }

  /** What the first row that is there follows on: nothing, or what the row about a removal says. */
  async #start(first: number): Promise<Link | Break> {
    if (first === 1) return { seq: 0, hash: GENESIS }
    if (first < 1) return { seq: first, problem: 'it was put before the first row' }
    const { rows } = await sql<{ detail: string }>`
      select detail::text as detail from audit_log
      where tenant = ${this.#tenant} and action = ${REMOVED} and subject = ${String(first - 1)}
      order by seq desc limit 1`.execute(this.#database)
    if (rows[0]) return { seq: first - 1, hash: String((JSON.parse(rows[0].detail) as Partial<Link>).hash) }
    return { seq: 1, problem: `${span(1, first - 1)} missing, and no row says that they were removed after their time` }
  }

  #judge(before: Link, row: ChainedRow): Break | undefined {
    this.#rows += 1
    const seq = before.seq + 1
    if (row.seq < seq) return { seq: row.seq, problem: 'it is there twice' }
    if (row.seq > seq) return { seq, problem: `${span(seq, row.seq - 1)} missing` }
    if (row.hash !== hashOf(before.hash, row)) {
      return { seq, problem: 'it is not what was written, or does not follow on the row before it' }
    }
    const anchored = this.#anchors.get(seq)
    if (anchored === undefined || anchored === row.hash) return undefined
    return { seq, problem: 'the chain was written anew: an earlier check found another row here' }
  }

  #end(last: Link, head: Link): Break | undefined {
    const known = Math.max(head.seq, ...this.#anchors.keys())
    if (last.seq < known) return { seq: last.seq + 1, problem: `${span(last.seq + 1, known)} missing` }
    if (last.seq > head.seq)
      return { seq: head.seq + 1, problem: 'it was added beside the chain, whose head ends before it' }
    if (last.hash === head.hash) return undefined
    return { seq: last.seq, problem: 'it is not the row with which the chain ended' }
  }

  async #head(): Promise<Link> {
    const { rows } = await sql<Link>`
      select seq, hash from audit_heads where tenant = ${this.#tenant}`.execute(this.#database)
    return rows[0] ?? { seq: 0, hash: GENESIS }
  }

  async #page(after: number, limit: number): Promise<readonly ChainedRow[]> {
    // Index audit_log_chain.
    const { rows } = await sql<ChainedRow>`
      select seq, (extract(epoch from at) * 1000)::bigint as at, tenant, actor, action, session_id as "sessionId", subject,
        detail::text as detail, hash
      from audit_log where tenant = ${this.#tenant} and seq > ${after} order by seq limit ${limit}`.execute(
      this.#database,
    )
    return rows
  }
}

const span = (from: number, to: number): string => (from >= to ? `row ${from} is` : `rows ${from} to ${to} are`)
