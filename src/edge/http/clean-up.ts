/**
 * Ends sessions in which nothing has happened for a while. It is asked of each in its order: one that gets work meanwhile
 * does it first.
 */
import { ServiceError } from '../../protocol/errors.js'
import { seesTenant } from '../../protocol/permissions.js'
import type { Principal } from '../auth.js'
import { type Caller, command, Refusal } from '../caller.js'
import type { AuditNote, EdgeAudit } from '../dependencies.js'
import { ok } from './answer.js'
import type { Handler } from './handlers.js'
import type { HttpSources } from './sources.js'

const DEFAULT_IDLE_MS = 15 * 60_000
const DEFAULT_LIMIT = 100
/** What became of a session since it was looked for is no failure of the whole. */
const OVER = new Set<string>(['session_not_running', 'session_not_found'])

export function cleanUp(
  sources: Pick<HttpSources, 'idleSessions'>,
  audit: EdgeAudit | undefined,
): Handler<'cleanUpSessions'> {
  return async ({ caller, principal, body }) => {
    const { idleMs = DEFAULT_IDLE_MS, limit = DEFAULT_LIMIT, dryRun = false } = body
    const owner = seesTenant(principal.role) ? undefined : principal.subject
    const found = await sources.idleSessions(principal.tenant, owner, idleMs, limit + 1)
    const stopped: string[] = []
    try {
      for (const sessionId of found.slice(0, limit)) {
        if (dryRun || (await complete(caller, sessionId))) stopped.push(sessionId)
      }
    } finally {
      if (!dryRun && stopped.length > 0) audit?.add(noteOf(principal, stopped))
    }
    return ok({ stopped, more: found.length > limit })
  }
}

const noteOf = ({ tenant, subject: actor }: Principal, sessions: readonly string[]): AuditNote => ({
  ...{ tenant, actor, action: 'session.cleanup', sessionId: undefined },
  ...{ subject: String(sessions.length), detail: { sessions } },
})

async function complete(caller: Caller, sessionId: string): Promise<boolean> {
  if (!caller.isOpen) throw new ServiceError('shutting_down')
  try {
    await command(caller, { type: 'complete_session', payload: { sessionId } }, undefined)
    return true
  } catch (error) {
    if (error instanceof Refusal && OVER.has(error.reply.code)) return false
    throw error
  }
}
