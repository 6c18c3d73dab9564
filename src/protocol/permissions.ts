/**
 * Who may do what: one row per message type. A credential's role opens verbs, its scopes narrow them, and a `user` sees
 * only the sessions that it spawned itself.
 */
import type { ClientMessageType } from './commands.js'

export const CLIENT_ROLES = ['admin', 'user', 'readonly'] as const
/** `admin` all of its tenant · `user` its own sessions · `readonly` looks at its tenant and touches nothing. */
export type ClientRole = (typeof CLIENT_ROLES)[number]

/** Names that a credential's `scopes` may hold, beside `*` and the names of single message types. */
export const SCOPES = ['sessions:read', 'sessions:write', 'sessions:approve', 'daemon:read'] as const
export type Scope = (typeof SCOPES)[number]

interface Permission {
  readonly roles: readonly ClientRole[]
  /** Undefined: says nothing about anybody, so no scope is asked for. */
  readonly scope: Scope | undefined
}

const EVERYBODY = CLIENT_ROLES
const WHO_WORKS = ['admin', 'user'] as const

/** A message type without a row does not compile: nothing new is open to everybody by accident. */
export const PERMISSIONS = {
  spawn_session: { roles: WHO_WORKS, scope: 'sessions:write' },
  execute_task: { roles: WHO_WORKS, scope: 'sessions:write' },
  stop_session: { roles: WHO_WORKS, scope: 'sessions:write' },
  complete_session: { roles: WHO_WORKS, scope: 'sessions:write' },
  pause_session: { roles: WHO_WORKS, scope: 'sessions:write' },
  resume_session: { roles: WHO_WORKS, scope: 'sessions:write' },
  cancel_task: { roles: WHO_WORKS, scope: 'sessions:write' },
  approval_decision: { roles: WHO_WORKS, scope: 'sessions:approve' },
  cancel_scheduled: { roles: WHO_WORKS, scope: 'sessions:write' },
  route_task: { roles: WHO_WORKS, scope: 'sessions:write' },
  session_status: { roles: EVERYBODY, scope: 'sessions:read' },
  list_sessions: { roles: EVERYBODY, scope: 'sessions:read' },
  list_tasks: { roles: EVERYBODY, scope: 'sessions:read' },
  subscribe: { roles: EVERYBODY, scope: 'sessions:read' },
  unsubscribe: { roles: EVERYBODY, scope: 'sessions:read' },
  daemon_status: { roles: EVERYBODY, scope: 'daemon:read' },
  token_refresh: { roles: EVERYBODY, scope: undefined },
  health_check: { roles: EVERYBODY, scope: undefined },
  ping: { roles: EVERYBODY, scope: undefined },
} as const satisfies Record<ClientMessageType, Permission>

/** What a credential grants. Without `scopes` it grants everything that its role may do. */
export interface Grant {
  readonly role: ClientRole
  readonly scopes?: readonly string[] | undefined
}

/** Whether a credential may send this message at all; whose session it names is another question. */
export function maySend({ role, scopes }: Grant, type: ClientMessageType): boolean {
  const { roles, scope }: Permission = PERMISSIONS[type]
  if (!roles.includes(role)) return false
  if (scopes === undefined || scope === undefined) return true
  return scopes.includes('*') || scopes.includes(scope) || scopes.includes(type)
}

/** Who stands behind a connection, and whose a session is. */
export interface Holder {
  readonly tenant: string
  readonly subject: string
}

/** Whether a session is there for a principal. One that is not is the same to it as one that does not exist. */
export function maySee(principal: Holder & Grant, session: Holder): boolean {
  if (principal.tenant !== session.tenant) return false
  return seesTenant(principal.role) || principal.subject === session.subject
}

/** Whether a role sees the sessions of everybody in its tenant. */
export const seesTenant = (role: ClientRole): boolean => role !== 'user'
