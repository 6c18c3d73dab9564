/**
 * `orchestrator-daemon approvals`: tool calls that wait for a person, and the answer to one.
 */
import type { Client } from '../client/client.js'
import type { ApprovalDecision, ListedApproval } from '../protocol/approvals.js'
import { ServiceError } from '../protocol/errors.js'
import { type ConnectionFlags, explained, findDaemon, openClient } from './connection.js'
import { CommandFailure } from './exit.js'
import { duration, Output, printable, shortened, table } from './output.js'
import { inputOf } from './transcript.js'

export interface ApprovalsFlags extends ConnectionFlags {
  readonly session?: string
  /** Those that were decided too. */
  readonly all?: true
  readonly limit: number
  readonly json?: true
}

export interface AnswerFlags extends ConnectionFlags {
  readonly reason?: string
  readonly json?: true
}

/** The largest page that a daemon gives. */
const PAGE = 200
const REASON_CHARS = 160
const DONE = { approve: 'approved', reject: 'rejected' } as const

export async function approvals(flags: ApprovalsFlags): Promise<void> {
  const found = await asked(flags, (client) => collect(client, flags))
  const output = new Output()
  if (flags.json) output.json(found)
  else for (const line of listOf(found, new Date(), output)) output.line(line)
}

/** Its session is looked up: whoever answers knows the id of the request alone. */
export async function answer(approvalId: string, decision: ApprovalDecision, flags: AnswerFlags): Promise<void> {
  const approval = await asked(flags, async (client) => {
    const [found] = (await client.approvals({ approvalId })).approvals
    if (!found) throw new CommandFailure(new ServiceError('approval_not_found', { approvalId }).message)
    await client.decide(found, decision, flags.reason)
    return found
  })
  const { sessionId, toolName } = approval
  const output = new Output()
  if (flags.json) output.json({ approvalId, sessionId, toolName, state: DONE[decision] })
  else output.line(`${DONE[decision]} ${printable(toolName)} in ${sessionId}`)
}

async function asked<T>(flags: ConnectionFlags, question: (client: Client) => Promise<T>): Promise<T> {
  const address = findDaemon(flags)
  const client = await openClient(address)
  try {
    return await question(client)
  } catch (error) {
    throw explained(error, address.url)
  } finally {
    client.close()
  }
}

async function collect(client: Client, { session, all, limit }: ApprovalsFlags): Promise<ListedApproval[]> {
  const found: ListedApproval[] = []
  let cursor: string | undefined
  do {
    const page = await client.approvals({
      ...{ state: all ? 'all' : 'pending', limit: Math.min(PAGE, limit) },
      ...(session !== undefined && { sessionId: session }),
      ...(cursor !== undefined && { cursor }),
    })
    found.push(...page.approvals)
    cursor = page.cursor
  } while (cursor !== undefined && found.length < limit)
  return found.slice(0, limit)
}

/** The table, with its heading dimmed, and below each request why it is one. */
export function listOf(found: readonly ListedApproval[], now: Date, { colours }: Pick<Output, 'colours'>): string[] {
  if (found.length === 0) return ['no approvals']
  const rows = found.map((each) => [
    each.approvalId,
    each.level,
    each.state === 'pending' ? `for ${duration(Date.parse(each.expiresAt) - now.getTime())}` : each.state,
    duration(now.getTime() - Date.parse(each.requestedAt)),
    each.sessionId,
    `${printable(each.toolName)} ${inputOf(each.toolInput)}`,
  ])
  const [heading = '', ...lines] = table([['ID', 'LEVEL', 'OPEN', 'AGE', 'SESSION', 'CALL'], ...rows])
  return [colours.dim(heading), ...lines.flatMap((line, index) => [line, colours.dim(`  ${aboutOf(found[index])}`)])]
}

function aboutOf(approval: ListedApproval | undefined): string {
  if (!approval) return ''
  const { reason, decidedBy, comment } = approval
  const who = decidedBy === undefined ? '' : ` (${decidedBy}${comment === undefined ? '' : `: ${comment}`})`
  return shortened(`${reason}${who}`, REASON_CHARS)
}
