/**
 * How a session stands, with the event after which it stood so: whoever follows it from there misses nothing.
 */
import type { SpawnCommand } from '../../bus/command.js'
import { ServiceError } from '../../protocol/errors.js'
import type { SessionId } from '../../protocol/ids.js'
import type { Session } from '../../protocol/session.js'
import { isSwarm, type Role, roleOf } from '../../protocol/v2/shapes.js'
import { type Caller, sessionOf } from '../caller.js'
import type { V2Parts } from './parts.js'

export interface Standing {
  readonly session: Session
  readonly role: Role
  readonly eventId: string
}

type Sources = Pick<V2Parts, 'directory' | 'events' | 'rows'>

/** @throws Refusal, or ServiceError, when the session is not there for the caller */
export async function standingOf(sources: Sources, caller: Caller, sessionId: SessionId): Promise<Standing> {
  // Asked like everybody asks, which decides whether it may be seen.
  const seen = await sessionOf(caller, sessionId)
  const { session = seen, eventId } = await sources.directory.standing(sessionId, sources.events)
  return { session, eventId, role: await roleIn(sources, session) }
}

/** One of a tenant that may be seen whole; undefined while nobody has begun it. */
export async function standingOfTenant(
  sources: Sources,
  tenant: string,
  { id, owner }: { readonly id: SessionId; readonly owner: string },
): Promise<Standing | undefined> {
  sources.directory.remember(id, { tenant, subject: owner })
  const { session, eventId } = await sources.directory.standing(id, sources.events)
  return session && { session, eventId, role: await roleIn(sources, session) }
}

/** A session that is an agent or a team. @throws ServiceError `session_not_found` for any other */
export async function swarmOf(sources: Pick<Sources, 'rows'>, caller: Caller, sessionId: SessionId) {
  const session = await sessionOf(caller, sessionId)
  if (!isSwarm(session.type)) throw new ServiceError('session_not_found', { sessionId })
  return { session, role: await roleIn(sources, session) }
}

/** Its present task may be another one than that it was spawned for. */
async function roleIn({ rows }: Pick<Sources, 'rows'>, { id, type }: Session): Promise<Role> {
  if (!isSwarm(type)) return {}
  const row = await rows.find(id)
  return row ? roleOf((JSON.parse(row.spawn) as SpawnCommand).task) : {}
}
