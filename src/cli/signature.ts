/**
 * Signs tokens with the secret of this machine's settings.
 */
import type { Config } from '../config/load.js'
import type { ClientRole } from '../protocol/permissions.js'
import { CommandFailure } from './exit.js'

/** A command signs a fresh one for each connection, so it need not last. */
export const LOCAL_TOKEN_LIFETIME_MS = 15 * 60_000

export interface Holder {
  readonly tenant: string
  readonly subject: string
  readonly role: ClientRole
}

/** @throws CommandFailure without a secret. `expiresAt` is ms since 1970. */
export async function signedToken(
  auth: Config['auth'],
  holder: Holder,
  lifetimeMs: number,
): Promise<{ readonly token: string; readonly expiresAt: number }> {
  const { jwtSecret, issuer, audience } = auth
  if (jwtSecret === undefined) {
    throw new CommandFailure(
      'there is no secret to sign with; set DAEMON_JWT_SECRET, for example to the output of `openssl rand -base64 48`',
    )
  }
  const { signToken } = await import('../edge/token.js')
  const key = new TextEncoder().encode(jwtSecret)
  return signToken({ ...holder, scopes: undefined }, key, { issuer, audience, lifetimeMs })
}
