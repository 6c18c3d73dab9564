/**
 * Credentials of the clients of a load run: as many principals as real traffic would have at least, so that limits that
 * hold for one principal are not what is measured.
 */
import { createHmac, randomBytes } from 'node:crypto'

export const PRINCIPALS = 20
/** Longer than any run. */
const LIFETIME_SECONDS = 6 * 60 * 60
const SECRET_BYTES = 32
/** The service's defaults. */
const ISSUER = 'wundr-orchestrator'
const AUDIENCE = 'wundr-daemon'

export const newSecret = (): string => randomBytes(SECRET_BYTES).toString('hex')

/** One token for each principal. */
export const mintTokens = (secret: string, count = PRINCIPALS): string[] =>
  Array.from({ length: count }, (_, index) => token(secret, `load-${index + 1}`))

function token(secret: string, principal: string): string {
  const iat = Math.floor(Date.now() / 1000)
  const exp = iat + LIFETIME_SECONDS
  const claims = { tenant: principal, role: 'user' }
  const head = encoded({ alg: 'HS256', typ: 'JWT' })
  const body = encoded({ sub: principal, iss: ISSUER, aud: AUDIENCE, iat, exp, claims })
  return `${head}.${body}.${createHmac('sha256', secret).update(`${head}.${body}`).digest('base64url')}`
}

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
