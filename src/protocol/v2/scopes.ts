/**
 * Scopes of the second protocol: what a client asked for when it connected, never more than its credential may do.
 */
import { type Grant, maySend } from '../permissions.js'

export const V2_SCOPES = ['daemon.admin', 'daemon.read', 'daemon.write', 'daemon.approve', 'daemon.teams'] as const
export type V2Scope = (typeof V2_SCOPES)[number]

/** What each scope brings with it. */
const INCLUDES: Readonly<Record<V2Scope, readonly V2Scope[]>> = {
  'daemon.admin': V2_SCOPES,
  'daemon.read': ['daemon.read'],
  'daemon.write': ['daemon.write', 'daemon.read'],
  'daemon.approve': ['daemon.approve'],
  'daemon.teams': ['daemon.teams'],
}

/** All that a credential may do, in these words; the table of permissions decides, this only tells. */
function allowed(grant: Grant): ReadonlySet<V2Scope> {
  const { role, scopes } = grant
  const may: Readonly<Record<V2Scope, boolean>> = {
    'daemon.admin': role === 'admin' && (scopes === undefined || scopes.includes('*')),
    'daemon.read': maySend(grant, 'list_sessions'),
    'daemon.write': maySend(grant, 'spawn_session'),
    'daemon.approve': maySend(grant, 'approval_decision'),
    'daemon.teams': maySend(grant, 'spawn_session'),
  }
  return new Set(V2_SCOPES.filter((scope) => may[scope]))
}

/** What a connection may do: all that its credential allows, or of that what it asked for. */
export function grantedScopes(grant: Grant, asked: readonly V2Scope[] | undefined): readonly V2Scope[] {
  const may = allowed(grant)
  if (asked === undefined) return [...may]
  const wanted = new Set(asked.flatMap((scope) => INCLUDES[scope]))
  return V2_SCOPES.filter((scope) => wanted.has(scope) && may.has(scope))
}
