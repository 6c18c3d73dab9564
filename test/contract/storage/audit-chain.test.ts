/**
 * The audit log is a chain for each tenant: whatever is done to it beside its own way in, a check finds the first row of it.
 */
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { sql } from 'kysely'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { newApprovalId, newSessionId } from '../../../src/protocol/ids.js'
import { Approvals } from '../../../src/storage/approvals.js'
import { type Break, type ChainReport, verifyAudit } from '../../../src/storage/audit-chain.js'
import { type AuditEntry, AuditLog, REMOVED, SERVICE_CHAIN } from '../../../src/storage/audit-log.js'
import { BudgetOverrides, type NewOverride } from '../../../src/storage/budget-overrides.js'
import { ClusterRequests } from '../../../src/storage/cluster-requests.js'
import type { Database } from '../../../src/storage/database.js'
import { migrate } from '../../../src/storage/migrate.js'
import { Retention } from '../../../src/storage/retention.js'
import { eachDatabase, eachEmptyDatabase, openConnections } from '../../support/databases.js'
import { seededRandom } from '../../support/random.js'

const DAY_MS = 86_400_000
const MONTH_MS = 30 * DAY_MS
let tenants = 0

const entry = (tenant: string, n: number, more: Partial<AuditEntry> = {}): AuditEntry => ({
  ...{ tenant, actor: 'alice', action: 'tool.denied', sessionId: `s-${n}`, subject: `call-${n}` },
  ...{ detail: { reason: `no ${n}`, text: 'ünïcödé "\\ 😀' } },
  ...more,
})

eachDatabase((open) => {
  let database: Database
  let log: AuditLog
  let tenant: string
  beforeEach(async () => {
    database = await open()
    log = new AuditLog(database)
    tenant = `t-${++tenants}`
  })

  const check = async (name = tenant): Promise<ChainReport | undefined> =>
    (await verifyAudit(database, { tenant: name }))[0]
  const broken = async (): Promise<Break | undefined> => (await check())?.broken
  const fill = (rows: number): Promise<void> => log.addAll(Array.from({ length: rows }, (_, n) => entry(tenant, n + 1)))

  /** As somebody would do it who may write into the table: the chain's own way in is closed meanwhile. */
  async function tamper(statement: string): Promise<void> {
    await sql.raw('alter table audit_log disable trigger audit_append').execute(database.sql)
    await sql.raw(statement.replaceAll('$t', `'${tenant}'`)).execute(database.sql)
    await sql.raw('alter table audit_log enable trigger audit_append').execute(database.sql)
  }

  test('what is written is whole, however odd it is', async () => {
    await log.add(entry(tenant, 1, { sessionId: undefined, subject: '', actor: '3:abc', detail: {} }))
    await log.add(entry(tenant, 2, { actor: 'a\0b', detail: { nul: '\0', half: '\ud800', deep: { list: [1, null] } } }))
    await fill(3)

    const rows = await log.list({ tenant, limit: 10 })

    expect(await check()).toEqual({ tenant, rows: 5, head: { seq: 5, hash: rows[0]?.hash } })
    expect(rows.map(({ seq }) => seq)).toEqual([5, 4, 3, 2, 1])
    expect(new Set(rows.map(({ hash }) => hash)).size).toBe(5)
  })

  test('many writers at once make one chain for each tenant', async () => {
    await openConnections(database)
    const others = Array.from({ length: 3 }, () => `t-${++tenants}`)
    const overrides = new BudgetOverrides(database)
    const approvals = new Approvals(database)
    const work = Array.from({ length: 120 }, async (_, n) => {
      const names = n % 2 === 0 ? others : others.toReversed()
      if (n % 5 === 0) await approvals.request(approval(others[n % 3] ?? ''))
      if (n % 7 === 0) await overrides.set(override(others[n % 3] ?? ''))
      await log.addAll(names.map((name) => entry(name, n)))
    })
    await Promise.all(work)

    for (const name of others) {
      const report = await check(name)
      expect(report?.broken).toBeUndefined()
      expect(report?.rows).toBeGreaterThan(120)
      expect(report?.head.seq).toBe(report?.rows)
    }
  })

  const approval = (name: string) => ({
    ...{ id: newApprovalId(), tenant: name, sessionId: newSessionId(0), commandId: 'c', callId: 'k', tool: 'bash' },
    ...({ requestHash: 'h', input: '{}', reason: 'r', rule: 'r', level: 'escalate', timeoutMs: 1 } as const),
  })
  const override = (name: string): NewOverride => ({
    ...{ tenant: name, scope: 'tenant', scopeId: name, period: 'daily', tokens: 5, reason: 'more', createdBy: 'root' },
    forMs: 60_000,
  })

  test('approvals of many tenants that end in one statement are chained, whoever else writes', async () => {
    await openConnections(database)
    const names = Array.from({ length: 6 }, () => `t-${++tenants}`)
    const approvals = new Approvals(database)
    const asked = names.flatMap((name) => Array.from({ length: 5 }, () => approval(name)))
    for (const each of asked) await approvals.request(each)
    await new Promise((resolve) => setTimeout(resolve, 10))

    const ids = asked.map(({ id }) => id)
    await Promise.all([
      approvals.settled(ids),
      approvals.settled(ids.toReversed()),
      ...Array.from({ length: 20 }, () => log.addAll(names.toReversed().map((name) => entry(name, 1)))),
    ])

    for (const name of names) expect(await check(name)).toMatchObject({ rows: 30, head: { seq: 30 } })
    for (const name of names) expect((await check(name))?.broken).toBeUndefined()
  })

  test.each<[string, string, number]>([
    ['who did it', `update audit_log set actor = 'mallory' where tenant = $t and seq = 4`, 4],
    ['what was done', `update audit_log set action = 'tool.allowed' where tenant = $t and seq = 4`, 4],
    ['when', `update audit_log set at = at + interval '1 millisecond' where tenant = $t and seq = 4`, 4],
    ['to which session', `update audit_log set session_id = null where tenant = $t and seq = 4`, 4],
    ['to what', `update audit_log set subject = 'call-5' where tenant = $t and seq = 4`, 4],
    ['with what', `update audit_log set detail = '{"reason":"no 5"}' where tenant = $t and seq = 4`, 4],
    ['how it is spelled', `update audit_log set detail = (detail::text || ' ')::json where tenant = $t and seq = 4`, 4],
    ['its hash', `update audit_log set hash = repeat('a', 64) where tenant = $t and seq = 4`, 4],
    [
      'it and its hash as the chain would',
      `update audit_log set actor = 'mallory',
         hash = audit_hash((select hash from audit_log b where b.tenant = $t and b.seq = 3), 4,
           jsonb_populate_record(audit_log, '{"actor":"mallory"}')) where tenant = $t and seq = 4`,
      5,
    ],
    ['the first row, gone', 'delete from audit_log where tenant = $t and seq = 1', 1],
    ['a row, gone', 'delete from audit_log where tenant = $t and seq = 4', 4],
    [
      'a row, gone, and those behind it moved up',
      `delete from audit_log where tenant = $t and seq = 4;
       update audit_log set seq = seq - 1 where tenant = $t and seq = 5`,
      4,
    ],
    ['the last rows, gone', 'delete from audit_log where tenant = $t and seq > 7', 8],
    ['everything, gone', 'delete from audit_log where tenant = $t', 1],
    ['the head, gone', 'delete from audit_heads where tenant = $t', 1],
    ['the head, moved back', 'update audit_heads set seq = 8 where tenant = $t', 9],
    ['the head, another', `update audit_heads set hash = repeat('a', 64) where tenant = $t`, 10],
    [
      'a row put between',
      `update audit_log set seq = -seq where tenant = $t and seq > 4;
       update audit_log set seq = 1 - seq where tenant = $t and seq < 0;
       insert into audit_log (tenant, actor, action, subject, detail, seq, hash)
       values ($t, 'mallory', 'x', 'x', '{}', 5, repeat('b', 64))`,
      5,
    ],
    [
      'a row put before',
      `insert into audit_log (tenant, actor, action, subject, detail, seq, hash)
       values ($t, 'mallory', 'x', 'x', '{}', 0, repeat('0', 64))`,
      0,
    ],
    [
      'a row put behind',
      `insert into audit_log (tenant, actor, action, subject, detail, seq, hash)
       values ($t, 'mallory', 'x', 'x', '{}', 11, repeat('b', 64))`,
      11,
    ],
    [
      'two rows that changed places',
      `update audit_log set seq = -seq where tenant = $t and seq in (4, 6);
       update audit_log set seq = 10 + seq where tenant = $t and seq < 0`,
      4,
    ],
  ])('%s: found', async (_what, statement, seq) => {
    await fill(10)
    expect(await broken()).toBeUndefined()

    await tamper(statement)

    expect(await broken()).toMatchObject({ seq, problem: expect.stringMatching(/\w/) })
  })

  test('one character anywhere is found, in the row where it was changed', async () => {
    const random = seededRandom('one character of the audit log')
    await fill(30)
    for (let round = 0; round < 40; round++) {
      const seq = random.integer(1, 30)
      const column = random.pick(['actor', 'action', 'subject', 'session_id', 'hash'])
      const [before] = (
        await sql<{ value: string }>`select ${sql.ref(column)} as value from audit_log
          where tenant = ${tenant} and seq = ${seq}`.execute(database.sql)
      ).rows
      const value = before?.value ?? ''
      const at = random.integer(0, value.length - 1)
      const changed = `${value.slice(0, at)}${value[at] === 'a' ? 'b' : 'a'}${value.slice(at + 1)}`
      const put = (text: string) =>
        sql`update audit_log set ${sql.ref(column)} = ${text} where tenant = ${tenant} and seq = ${seq}`.execute(
          database.sql,
        )

      await put(changed)
      expect((await broken())?.seq).toBe(seq)
      await put(value)
    }
    expect(await broken()).toBeUndefined()
  })

  test('a chain that was written anew as a whole is found against what an earlier check found', async () => {
    await fill(10)
    const before = await check()
    const anchors = [{ tenant, ...(before?.head ?? { seq: 0, hash: '' }) }]
    await fill(2)
    const verify = async () => (await verifyAudit(database, { tenant, anchors }))[0]
    expect((await verify())?.broken).toBeUndefined()

    await tamper('delete from audit_log where tenant = $t; delete from audit_heads where tenant = $t')
    expect(await verify()).toMatchObject({ rows: 0, broken: { seq: 1 } })

    await fill(12)
    expect(await broken()).toBeUndefined()
    expect(await verify()).toMatchObject({ broken: { seq: 10 } })
  })

  test('what belongs to one tenant says nothing about another', async () => {
    await fill(3)
    const other = `t-${++tenants}`
    await log.add(entry(other, 1))

    await tamper(`update audit_log set actor = 'mallory' where tenant = $t and seq = 2`)

    const reports = new Map((await verifyAudit(database)).map((report) => [report.tenant, report]))
    expect(reports.get(tenant)?.broken?.seq).toBe(2)
    expect(reports.get(other)?.broken).toBeUndefined()
  })

  /** Makes the first so many rows old, as if they had been written then. */
  async function age(rows: number, days: number): Promise<void> {
    await tamper('delete from audit_heads where tenant = $t')
    const written = (await log.list({ tenant, limit: 1_000 })).toReversed()
    await tamper('delete from audit_log where tenant = $t')
    for (const [index, { at: _at, seq: _seq, hash: _hash, sessionId, detail, ...row }] of written.entries()) {
      const at = new Date(Date.now() - (index < rows ? days * DAY_MS : 0))
      const values = { ...row, session_id: sessionId, detail: JSON.stringify(detail), at }
      await database.sql.insertInto('audit_log').values(values).execute()
    }
  }

  const purgeAll = async (limit: number): Promise<number[]> => {
    const removed: number[] = []
    for (;;) {
      const batch = await new Retention(database).purgeAudit(MONTH_MS, limit)
      if (batch === 0) return removed
      removed.push(batch)
    }
  }

  test('what is removed after its time leaves a chain, and a row that says so', async () => {
    await fill(20)
    await age(12, 40)

    expect(await purgeAll(5)).toEqual([5, 5, 2])

    const rows = await log.list({ tenant, limit: 100 })
    expect(rows.map(({ seq }) => seq)).toEqual([23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13])
    expect(rows[0]).toMatchObject({ action: REMOVED, actor: 'service', subject: '12', detail: { upTo: 12, rows: 2 } })
    expect(await check()).toMatchObject({ rows: 11, head: { seq: 23 } })
    expect(await broken()).toBeUndefined()
    await fill(1)
    expect(await broken()).toBeUndefined()
  })

  test('removing more than the log says was removed is found', async () => {
    await fill(20)
    await age(12, 40)
    await purgeAll(100)

    await tamper('delete from audit_log where tenant = $t and seq = 13')

    expect(await broken()).toMatchObject({ seq: 1, problem: expect.stringContaining('rows 1 to 13 are missing') })
  })

  test('the row that follows on what was removed cannot be changed', async () => {
    await fill(20)
    await age(12, 40)
    await purgeAll(100)

    await tamper(`update audit_log set actor = 'mallory' where tenant = $t and seq = 13`)

    expect((await broken())?.seq).toBe(13)
  })

  test('rows about removals are not removed for their own sake for ever', async () => {
    await fill(3)
    await age(3, 40)
    await purgeAll(100)
    await age(1, 40)

    expect(await purgeAll(100)).toEqual([])
    expect(await log.list({ tenant, limit: 10 })).toHaveLength(1)
  })

  test('an override, its end, and what operators ask of the leader are noted with them', async () => {
    const overrides = new BudgetOverrides(database)
    const id = await overrides.set(override(tenant))
    expect(await overrides.revoke(tenant, id, 'bob')).toBe(true)
    expect(await overrides.revoke(tenant, id, 'bob')).toBe(false)
    const request = await new ClusterRequests(database).add({ kind: 'move', shard: 3, target: 'w@1' }, 'eve@host')

    expect(await log.list({ tenant, limit: 10 })).toMatchObject([
      { actor: 'bob', action: 'budget.override_revoked', subject: `tenant:${tenant}`, detail: { override: id } },
      {
        actor: 'root',
        action: 'budget.override',
        detail: { override: id, tokens: 5, reason: 'more', period: 'daily' },
      },
    ])
    expect(await log.list({ tenant: SERVICE_CHAIN, action: 'cluster', limit: 1 })).toMatchObject([
      { actor: 'eve@host', action: 'cluster.move', subject: 'shard:3', detail: { request, target: 'w@1' } },
    ])
    expect((await check())?.broken).toBeUndefined()
    expect((await check(SERVICE_CHAIN))?.broken).toBeUndefined()
  })

  test('a list is narrowed by action and by session', async () => {
    await fill(3)
    await log.add(entry(tenant, 4, { action: 'tool.denied_not', sessionId: 's-1' }))

    const list = async (more: object) => (await log.list({ tenant, limit: 10, ...more })).map(({ seq }) => seq)

    expect(await list({ action: 'tool' })).toEqual([4, 3, 2, 1])
    expect(await list({ action: 'tool.denied' })).toEqual([3, 2, 1])
    expect(await list({ sessionId: 's-1' })).toEqual([4, 1])
    expect(await list({ before: 3 })).toEqual([2, 1])
    expect(await log.list({ tenant: undefined, limit: 2 })).toHaveLength(2)
  })
})

eachEmptyDatabase((open) => {
  test('what was noted before there was a chain is chained as it stands', async () => {
    const shipped = new URL('../../../src/storage/migrations/', import.meta.url)
    const names = readdirSync(shipped).toSorted()
    const chain = names.findIndex((name) => name.endsWith('_audit_chain.sql'))
    const folder = mkdtempSync(join(tmpdir(), 'audit-migrations-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    for (const name of names.slice(0, chain)) cpSync(new URL(name, shipped), join(folder, name))
    const database = await open()
    await migrate(database, pathToFileURL(`${folder}/`))
    await sql`insert into audit_log (tenant, actor, action, session_id, subject, detail)
              select 't' || n % 3, 'old', 'tool.denied', null, n::text, '{"n": 1}' from generate_series(1, 30) n`.execute(
      database.sql,
    )

    await migrate(database)
    await new AuditLog(database).add(entry('t1', 1))

    const reports = await verifyAudit(database)
    expect(reports.map(({ tenant, rows, broken }) => [tenant, rows, broken])).toEqual([
      ['t0', 10, undefined],
      ['t1', 11, undefined],
      ['t2', 10, undefined],
    ])
  })
})
