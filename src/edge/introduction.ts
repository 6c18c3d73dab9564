/**
 * Credentials that come in a frame, where the place of a connection lets somebody in without one: who it is from then on.
 */
import { ServiceError } from '../protocol/errors.js'
import type { Principal, Verdict } from './auth.js'
import type { Connection } from './connection.js'

export interface Introductions {
  readonly authenticator: {
    /** True when only this machine may connect. */
    readonly localOnly: boolean
    verify(credential: { readonly token?: string; readonly apiKey?: string }): Verdict
  }
  /** Makes a connection somebody's who came without a name. @throws ServiceError when there is no room for one more */
  readonly introduce: (connection: Connection, principal: Principal) => void
  /** The right of a connection's principal ends at another time. */
  readonly renewed: (connection: Connection) => void
}

export interface Shown {
  readonly type: 'jwt' | 'api-key'
  readonly token: string
}

/**
 * Whoever showed a credential before the upgrade may show a better one of their own, but cannot be somebody else.
 * @throws ServiceError with what is wrong with the credential
 */
export function recognise(parts: Introductions, connection: Connection, shown: Shown): void {
  // Nobody but this machine comes in, and it needs none.
  if (parts.authenticator.localOnly) return
  const principal = principalOf(parts.authenticator, shown)
  const { isGuest, method } = connection.principal
  if (isGuest || method === 'loopback') parts.introduce(connection, principal)
  else renew(parts, connection, principal)
}

function renew({ renewed }: Introductions, connection: Connection, principal: Principal): void {
  const { tenant, subject } = connection.principal
  if (tenant !== principal.tenant || subject !== principal.subject) {
    throw new ServiceError('forbidden', { action: 'speak for somebody else on this connection' })
  }
  connection.principal = { ...principal, address: connection.principal.address }
  renewed(connection)
}

const JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/

/** Clients call everything an API key: what is none, and looks like a token, is judged as one. @throws ServiceError */
function principalOf(authenticator: Introductions['authenticator'], { type, token }: Shown): Principal {
  const verdict = authenticator.verify(type === 'jwt' ? { token } : { apiKey: token })
  if (verdict.ok) return verdict.principal
  const second = type === 'api-key' && JWT.test(token) ? authenticator.verify({ token }) : verdict
  if (second.ok) return second.principal
  throw new ServiceError(second.reason)
}
