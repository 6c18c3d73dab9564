/**
 * `orchestrator-daemon sessions`: the tenant's sessions, newest first.
 */
import type { Client } from '../client/client.js'
import { SESSION_STATUSES, type Session } from '../protocol/session.js'
import { type ConnectionFlags, findDaemon, openClient } from './connection.js'
import { CommandFailure } from './exit.js'
import { duration, Output, shortened, table } from './output.js'

export interface SessionsFlags extends ConnectionFlags {
  readonly status?: string
  readonly limit: number
  readonly json?: true
}

/** The largest page that a daemon gives. */
const PAGE = 200
/** Sessions that are looked through for those of one status. */
const MAX_LOOKED_AT = 10_000
const TASK_CHARS = 60

export async function sessions(flags: SessionsFlags): Promise<void> {
  const { status } = flags
  if (status !== undefined && !(SESSION_STATUSES as readonly string[]).includes(status)) {
    throw new CommandFailure(`--status must be one of ${SESSION_STATUSES.join(', ')}, not "${status}"`)
  }
  const client = await openClient(findDaemon(flags))
  const found = await collect(client, status, flags.limit).finally(() => client.close())
  const output = new Output()
  if (flags.json) output.json(found)
  else for (const line of listOf(found, new Date(), output)) output.line(line)
}

async function collect(client: Client, status: string | undefined, limit: number): Promise<Session[]> {
  const found: Session[] = []
  let cursor: string | undefined
  for (let lookedAt = 0; found.length < limit && lookedAt < MAX_LOOKED_AT; lookedAt += PAGE) {
    const page = await client.list({
      limit: status === undefined ? Math.min(PAGE, limit) : PAGE,
      ...(cursor && { cursor }),
    })
    found.push(...page.sessions.filter((session) => status === undefined || session.status === status))
    cursor = page.cursor
    if (cursor === undefined) break
  }
  return found.slice(0, limit)
}

/** The table, with its heading dimmed. */
export function listOf(found: readonly Session[], now: Date, { colours }: Pick<Output, 'colours'>): string[] {
  if (found.length === 0) return ['no sessions']
  const rows = found.map(({ id, type, status, task, startedAt }) => [
    id,
    type,
    status,
    duration(now.getTime() - Date.parse(startedAt)),
    shortened(task?.description ?? '', TASK_CHARS),
  ])
  const [heading = '', ...lines] = table([['ID', 'TYPE', 'STATUS', 'AGE', 'TASK'], ...rows])
  return [colours.dim(heading), ...lines]
}
