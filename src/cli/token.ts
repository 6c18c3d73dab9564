/**
 * `orchestrator-daemon token`: signs a token for a client of this daemon.
 */
import { duration } from '../config/kinds.js'
import { tenantSchema } from '../protocol/ids.js'
import { CLIENT_ROLES, type ClientRole } from '../protocol/permissions.js'
import { commandSettings } from './command-settings.js'
import { CommandFailure } from './exit.js'
import { Output } from './output.js'
import { signedToken } from './signature.js'

export interface TokenFlags {
  readonly tenant: string
  readonly subject?: string
  readonly role: string
  readonly expires?: string
  readonly config?: string
  readonly json?: true
}

const MS_PER_SECOND = 1_000

/** Prints the token alone on standard output, so that `TOKEN=$(… token)` works. */
export async function token(flags: TokenFlags): Promise<void> {
  const config = commandSettings({ config: flags.config })
  const holder = { tenant: tenantOf(flags), subject: flags.subject ?? flags.tenant, role: roleOf(flags) }
  const lifetimeMs = secondsOf(flags, config.auth.jwtExpirationSeconds) * MS_PER_SECOND
  const signed = await signedToken(config.auth, holder, lifetimeMs)
  const expiresAt = new Date(signed.expiresAt).toISOString()
  const output = new Output()
  if (flags.json) {
    output.json({ token: signed.token, ...holder, expiresAt })
    return
  }
  output.line(signed.token)
  output.step(`tenant ${holder.tenant}, subject ${holder.subject}, role ${holder.role}, until ${expiresAt}`)
}

function tenantOf({ tenant }: TokenFlags): string {
  const parsed = tenantSchema.safeParse(tenant)
  if (parsed.success) return parsed.data
  throw new CommandFailure(`--tenant must be 1 to 64 letters, digits, _ or -, not "${tenant}"`)
}

function roleOf({ role }: TokenFlags): ClientRole {
  const known = CLIENT_ROLES.find((each) => each === role)
  if (known) return known
  throw new CommandFailure(`--role must be one of ${CLIENT_ROLES.join(', ')}, not "${role}"`)
}

function secondsOf({ expires }: TokenFlags, fallback: number): number {
  if (expires === undefined) return fallback
  const parsed = duration.type.safeParse(expires)
  if (parsed.success) return parsed.data
  throw new CommandFailure(`--expires must be ${duration.expected}, not "${expires}"`)
}
