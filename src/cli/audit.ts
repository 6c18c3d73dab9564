/**
 * `orchestrator-daemon audit`: what the audit log holds, and whether it is what was written. Both read the database
 * themselves: whether the log is whole is not for the daemon to say, whose database it is.
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Anchor, type ChainReport, verifyAudit } from '../storage/audit-chain.js'
import { AuditLog, type AuditRow } from '../storage/audit-log.js'
import { type Database, openDatabase } from '../storage/database.js'
import { commandSettings } from './command-settings.js'
import { CommandFailure } from './exit.js'
import { Output, printable, shortened, table } from './output.js'

export interface AuditFlags {
  readonly config?: string
  readonly tenant?: string
  readonly json?: true
}

export interface AuditListFlags extends AuditFlags {
  readonly limit: number
  readonly action?: string
  readonly session?: string
  readonly before?: number
}

export interface AuditVerifyFlags extends AuditFlags {
  /** What an earlier check printed with --json. */
  readonly anchor?: string
}

const DETAIL_CHARS = 120
const HASH_CHARS = 12

export async function auditList({ limit, action, session, before, tenant, ...flags }: AuditListFlags): Promise<void> {
  if (before !== undefined && tenant === undefined)
    throw new CommandFailure('--before counts in one chain: add --tenant')
  const query = { tenant, action, sessionId: session, before, limit }
  const rows = await withDatabase(flags, (database) => new AuditLog(database).list(query))
  const output = new Output()
  if (flags.json) for (const row of rows) output.json(row)
  else for (const line of listOf(rows, output)) output.line(line)
}

/** @throws CommandFailure when a chain is broken: exit code 1 */
export async function auditVerify({ tenant, anchor, ...flags }: AuditVerifyFlags): Promise<void> {
  const anchors = anchor === undefined ? [] : anchorsIn(anchor)
  const reports = await withDatabase(flags, (database) => verifyAudit(database, { tenant, anchors }))
  const broken = reports.filter((report) => report.broken)
  const output = new Output()
  if (flags.json) output.json({ ok: broken.length === 0, chains: reports })
  else for (const line of verdictOf(reports, output)) output.line(line)
  if (broken.length === 0) return
  throw new CommandFailure(
    broken.map(({ tenant: chain, broken: at }) => `${chain} is broken at row ${at?.seq}`).join('; '),
  )
}

async function withDatabase<T>(flags: AuditFlags, work: (database: Database) => Promise<T>): Promise<T> {
  const { database } = commandSettings({ config: flags.config })
  const { url, connectTimeoutMs, directory } = database
  try {
    const opened = await openDatabase(
      url === undefined
        ? { kind: 'pglite', directory: resolve(directory) }
        : { kind: 'postgres', url, poolSize: 1, connectTimeoutMs },
    )
    return await work(opened).finally(() => opened.close())
  } catch (error) {
    throw new CommandFailure(error instanceof Error ? error.message : String(error), undefined, { cause: error })
  }
}

/** @throws CommandFailure when the file is not what `audit verify --json` prints */
function anchorsIn(path: string): Anchor[] {
  try {
    const { chains } = JSON.parse(readFileSync(path, 'utf8')) as { chains: readonly ChainReport[] }
    return chains.flatMap(({ tenant, head }) => (head.seq > 0 ? [{ tenant, seq: head.seq, hash: head.hash }] : []))
  } catch (cause) {
    throw new CommandFailure(`${path} is not what \`audit verify --json\` has printed`, undefined, { cause })
  }
}

function listOf(rows: readonly AuditRow[], { colours }: Output): string[] {
  if (rows.length === 0) return ['the audit log holds nothing of that']
  const cells = rows.map(({ at, tenant, seq, actor, action, subject, sessionId, detail }) => [
    ...[at.toISOString(), `${tenant}/${seq}`, printable(actor), action, shortened(sessionId ?? subject, DETAIL_CHARS)],
    shortened(JSON.stringify(detail), DETAIL_CHARS),
  ])
  const [heading = '', ...lines] = table([['AT', 'ROW', 'WHO', 'DID', 'TO', 'DETAIL'], ...cells])
  return [colours.dim(heading), ...lines]
}

function verdictOf(reports: readonly ChainReport[], { colours: { green, red } }: Output): string[] {
  if (reports.length === 0) return ['the audit log is empty']
  return reports.map(({ tenant, rows, head, broken }) =>
    broken
      ? `${red('✗')} ${tenant}: row ${broken.seq}: ${broken.problem}`
      : `${green('✓')} ${tenant}: ${rows} rows up to ${head.seq}, ${head.hash.slice(0, HASH_CHARS)}…`,
  )
}
