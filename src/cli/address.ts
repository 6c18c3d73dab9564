/**
 * Where a command finds its daemon, and how it identifies itself: from its options, the environment and the settings of
 * this machine, in this order.
 */
import type { Config } from '../config/load.js'
import { CommandFailure } from './exit.js'
import { ownCertificate, type Trust } from './own-certificate.js'

/** Options that all commands share which talk to a running daemon. */
export interface ConnectionFlags {
  readonly url?: string
  readonly host?: string
  readonly port?: number
  readonly token?: string
  readonly apiKey?: string
  /** With a secret at hand: the tenant to speak for. */
  readonly tenant?: string
  readonly config?: string
}

/** `local` stands for: whoever has the daemon's secret may sign for themselves. */
export type Credential =
  | { readonly kind: 'none' }
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'api-key'; readonly key: string }
  | { readonly kind: 'local'; readonly config: Config; readonly tenant: string }

export interface Address {
  /** ws:// or wss://, without any credential. */
  readonly url: string
  readonly credential: Credential
  /** Of the daemon of this machine's settings, where it speaks TLS. */
  readonly trust?: Trust | undefined
}

const LOCAL_TENANT = 'local'
const ANY_ADDRESS = new Set(['0.0.0.0', '::', '[::]'])
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/
const WEB_SOCKET_SCHEME: Readonly<Record<string, string>> = {
  'ws:': 'ws:',
  'wss:': 'wss:',
  'http:': 'ws:',
  'https:': 'wss:',
}

/**
 * The settings are read only when something is taken from them, so that a command with `--url` and `--token` works on
 * any machine.
 * @throws CommandFailure when the address is none; whatever `settings` throws.
 */
export function addressOf(flags: ConnectionFlags, env: NodeJS.ProcessEnv, settings: () => Config): Address {
  const { url, trust } = placeOf(flags, settings)
  const credential = credentialOf(flags, env, url, settings)
  return { url: url.href.replace(/\/$/, ''), credential, ...(trust && { trust }) }
}

function placeOf(
  { url, host, port }: ConnectionFlags,
  settings: () => Config,
): { url: URL; trust?: Trust | undefined } {
  if (url !== undefined) return { url: parseUrl(url) }
  if (host !== undefined && port !== undefined) return { url: new URL(`ws://${reachable(host)}:${port}`) }
  const config = settings()
  const trust = ownCertificate(config)
  const where = `${reachable(host ?? config.server.host)}:${port ?? config.server.port}`
  return { url: new URL(`${trust ? 'wss' : 'ws'}://${where}`), trust }
}

/** Where a daemon that listens on `host` can be reached from this machine, as a part of a URL. */
export function reachable(host: string): string {
  if (ANY_ADDRESS.has(host)) return '127.0.0.1'
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
}

function parseUrl(text: string): URL {
  const example = 'an address looks like ws://127.0.0.1:8787'
  if (!URL.canParse(text)) throw new CommandFailure(`--url ${text} is not an address; ${example}`)
  const url = new URL(text)
  const scheme = WEB_SOCKET_SCHEME[url.protocol]
  if (scheme === undefined || url.hostname === '')
    throw new CommandFailure(`--url ${text} is not an address; ${example}`)
  return new URL(scheme + url.href.slice(url.protocol.length))
}

function credentialOf(flags: ConnectionFlags, env: NodeJS.ProcessEnv, url: URL, settings: () => Config): Credential {
  const token = flags.token ?? (flags.apiKey === undefined ? env.DAEMON_TOKEN || undefined : undefined)
  if (token !== undefined) return { kind: 'token', token }
  const key = flags.apiKey ?? (env.DAEMON_API_KEY || undefined)
  if (key !== undefined) return { kind: 'api-key', key }
  return localCredential(flags, url, settings)
}

/** A token signed here is shown only to the daemon of these settings: another server could use it against them. */
function localCredential(flags: ConnectionFlags, url: URL, settings: () => Config): Credential {
  const own = LOOPBACK.test(url.hostname)
  if (flags.url !== undefined && !own) return { kind: 'none' }
  const config = settings()
  if (!own && url.hostname !== new URL(`ws://${reachable(config.server.host)}`).hostname) return { kind: 'none' }
  if (config.auth.jwtSecret === undefined || config.auth.mode === 'api-key') return { kind: 'none' }
  return { kind: 'local', config, tenant: flags.tenant ?? LOCAL_TENANT }
}
