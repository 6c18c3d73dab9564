/**
 * The connection of a command to a running daemon: knocks before each attempt, so that a refusal ends the command with
 * its reason instead of being tried again.
 */
import { type Client, ClientError, connect } from '../client/client.js'
import { findWebSocket } from '../client/web-socket.js'
import { type Address, addressOf, type ConnectionFlags, type Credential } from './address.js'
import { commandSettings } from './command-settings.js'
import { CommandFailure } from './exit.js'
import { type Knocked, knock } from './knock.js'
import { trusting } from './own-certificate.js'
import { LOCAL_TOKEN_LIFETIME_MS, signedToken } from './signature.js'

export type { ConnectionFlags } from './address.js'

/** No daemon listens there: what `status` calls stopped. */
export class NothingThere extends CommandFailure {}

export type ConnectionWatcher = (state: 'lost' | 'restored') => void

/** The address that the options and settings of this call name. @throws CommandFailure | ConfigError */
export function findDaemon(flags: ConnectionFlags): Address {
  const settings = () => commandSettings({ config: flags.config })
  return addressOf(flags, process.env, settings)
}

/** @throws NothingThere | CommandFailure with one sentence. */
export async function openClient(address: Address, onConnection?: ConnectionWatcher): Promise<Client> {
  const { url, credential, trust } = address
  let first = true
  const token = async (): Promise<string | undefined> => {
    const signed = await tokenOf(credential)
    const answer = await knock(url, headersOf(credential, signed), trust)
    if (answer.kind !== 'open' && (first || isFinal(answer))) throw failureOf(url, answer)
    first = false
    return signed
  }
  try {
    const webSocket = trust && trusting(await findWebSocket(), trust)
    return await connect({
      ...{ url: withKey(url, credential), token },
      ...(webSocket && { webSocket }),
      ...(onConnection && { onConnection }),
    })
  } catch (error) {
    throw explained(error, url)
  }
}

/** The sentence behind a failure of the client. Its own may hold the address with the key. */
export function explained(error: unknown, url: string): unknown {
  if (!(error instanceof ClientError)) return error
  if (error.details.cause instanceof CommandFailure) return error.details.cause
  if (error.code === 'connection_failed') return failureOf(url, { kind: 'silent', reason: 'timeout' })
  return new CommandFailure(error.message, undefined, { cause: error })
}

/** Later on, a daemon that is away or busy may only be starting again; a credential does not become better. */
const isFinal = (answer: Knocked): boolean =>
  answer.kind === 'refused' && (answer.status === 401 || answer.status === 403)

async function tokenOf(credential: Credential): Promise<string | undefined> {
  if (credential.kind === 'token') return credential.token
  if (credential.kind !== 'local') return undefined
  const holder = { tenant: credential.tenant, subject: credential.tenant, role: 'admin' } as const
  return (await signedToken(credential.config.auth, holder, LOCAL_TOKEN_LIFETIME_MS)).token
}

function headersOf(credential: Credential, token: string | undefined): Record<string, string> {
  if (token !== undefined) return { authorization: `Bearer ${token}` }
  return credential.kind === 'api-key' ? { 'x-api-key': credential.key } : {}
}

// A WebSocket of a browser, which the client also is for, cannot send headers.
function withKey(url: string, credential: Credential): string {
  if (credential.kind !== 'api-key') return url
  const address = new URL(url)
  address.searchParams.set('apiKey', credential.key)
  return address.href
}

function failureOf(url: string, answer: Exclude<Knocked, { kind: 'open' }>): CommandFailure {
  if (answer.kind === 'silent') {
    return new NothingThere(`nothing answers at ${url}; is the daemon started? try \`orchestrator-daemon start\``)
  }
  const { status, reason } = answer
  if (status === 401) return new CommandFailure(`${url} refused the credential (${reason}); ${adviceOn(reason)}`)
  if (status === 404) return new CommandFailure(`${url} is not an orchestrator daemon: it speaks no WebSocket`)
  const word = reason === '' ? `HTTP ${status}` : reason
  return new CommandFailure(`${url} lets nobody in right now (${word}); try again later`)
}

function adviceOn(reason: string): string {
  if (reason === 'credentials_missing') {
    return 'give --token or --api-key, or run this where DAEMON_JWT_SECRET is set as the daemon has it'
  }
  if (reason === 'jwt_expired') return 'make a new one with `orchestrator-daemon token`'
  return 'check that it was made for this daemon'
}
