/**
 * Who may do what: one row for each action, be it a message type or one of HTTP's own. A credential's role opens actions,
 * its scopes narrow them, and a `user` sees only the sessions that it spawned itself.
 */
import type { ClientMessageType } from './commands.js'

export const CLIENT_ROLES = ['admin', 'user', 'readonly'] as const
/** `admin` all of its tenant · `user` its own sessions · `readonly` looks at its tenant and touches nothing. */
export type ClientRole = (typeof CLIENT_ROLES)[number]

/** Names that a credential's `scopes` may hold, beside `*` and the names of single actions. */
export const SCOPES = ['sessions:read', 'sessions:write', 'sessions:approve', 'daemon:read', 'daemon:write'] as const
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
  list_approvals: { roles: EVERYBODY, scope: 'sessions:read' },
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

/** What is no message of the first protocol: asked over HTTP, or in the second protocol. */
export const HTTP_PERMISSIONS = {
  read_session: { roles: EVERYBODY, scope: 'sessions:read' },
  read_usage: { roles: EVERYBODY, scope: 'sessions:read' },
  read_memory: { roles: EVERYBODY, scope: 'sessions:read' },
  write_memory: { roles: WHO_WORKS, scope: 'sessions:write' },
  // Addresses and limits of the service: nothing for whoever has only sessions of its own.
  read_config: { roles: ['admin', 'readonly'], scope: 'daemon:read' },
  write_config: { roles: ['admin'], scope: 'daemon:write' },
  read_charter: { roles: EVERYBODY, scope: 'daemon:read' },
  // Names and loads of machines: nothing for whoever has only sessions of its own.
  read_cluster: { roles: ['admin', 'readonly'], scope: 'daemon:read' },
  // Who did what in the whole tenant, the owners of sessions included.
  read_audit: { roles: ['admin'], scope: 'daemon:read' },
  clean_up: { roles: WHO_WORKS, scope: 'sessions:write' },
  read_credential: { roles: EVERYBODY, scope: undefined },
} as const satisfies Record<string, Permission>

/** What somebody wants: to send a message, or something of HTTP's own. */
export type Action = ClientMessageType | keyof typeof HTTP_PERMISSIONS

const ALL: Readonly<Record<Action, Permission>> = { ...PERMISSIONS, ...HTTP_PERMISSIONS }

/** What a credential grants. Without `scopes` it grants everything that its role may do. */
export interface Grant {
  readonly role: ClientRole
  readonly scopes?: readonly string[] | undefined
}

/** Whether a credential may do this at all; whose session it is about is another question. */
export function maySend({ role, scopes }: Grant, action: Action): boolean {
  const { roles, scope }: Permission = ALL[action]
  if (!roles.includes(role)) return false
  if (scopes === undefined || scope === undefined) return true
  return scopes.includes('*') || scopes.includes(scope) || scopes.includes(action)
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
