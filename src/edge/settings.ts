/**
 * The settings of an edge, as its parts want them.
 */
import type { PlacementStrategy } from '../shards/placement.js'
import type { ApiKey } from './api-keys.js'
import type { CertificateSettings } from './certificate.js'
import type { ProxySettings } from './client-address.js'
import type { PublicKeyAlgorithm } from './signature.js'

export interface EdgeSettings {
  /** Name of the service, shown by `daemon_status`. */
  readonly name: string
  readonly version: string
  readonly host: string
  /** 0 lets the system choose; `Edge.port` tells. */
  readonly port: number
  /** Undefined: no health check is answered here. */
  readonly healthPath: string | undefined
  /** Origins whose pages may read HTTP answers; undefined: none. */
  readonly corsOrigins?: readonly string[] | undefined
  /** Whether there is a dashboard at `/ui/`. */
  readonly dashboard?: boolean | undefined
  /** With it the port speaks TLS and nothing else. */
  readonly certificate?: CertificateSettings | undefined
  /** Largest frame that a client may send, in bytes. */
  readonly maxPayloadBytes: number
  /** Time between pings to each client. */
  readonly heartbeatIntervalMs: number
  /** Bound of a drain. */
  readonly shutdownTimeoutMs: number
  readonly placement: PlacementStrategy
  readonly auth: AuthSettings
  readonly limits: LimitSettings
  /** Who may say for whom it speaks; undefined: nobody. */
  readonly proxies?: ProxySettings | undefined
}

export interface AuthSettings {
  /** HS256 key of the tokens. Without it, another issuer and API keys, only this machine may connect. */
  readonly secret: string | undefined
  /** Their tokens are still good. */
  readonly previousSecrets?: readonly string[] | undefined
  /** Another issuer of tokens, and what they must name. */
  readonly remote?: (RemoteKeySettings & { readonly issuer: string; readonly audience: string }) | undefined
  readonly apiKeys: readonly ApiKey[]
  /** Which kind of credential opens the door. */
  readonly mode: 'jwt' | 'api-key' | 'both'
  /** Whether this machine needs no credential, where others do. */
  readonly allowLoopback: boolean
  readonly issuer: string
  readonly audience: string
  /** Lifetime of a token made by `token_refresh`. */
  readonly tokenLifetimeMs: number
}

/** Where the public keys of another issuer are, and what of them is used. */
export interface RemoteKeySettings {
  readonly url: string
  readonly algorithms: readonly PublicKeyAlgorithm[]
}

export interface LimitSettings {
  /** Undefined: clients may send as much as they like. */
  readonly messages: RateLimitSettings | undefined
  readonly connections: ConnectionLimitSettings
  /** Of all who come from one address; what is left out is not limited. */
  readonly perAddress?:
    | { readonly connections?: number | undefined; readonly messages?: RateLimitSettings | undefined }
    | undefined
}

export interface RateLimitSettings {
  /** Messages in any time as long as the window. */
  readonly max: number
  readonly windowMs: number
}

export interface ConnectionLimitSettings {
  /** Per principal, or whatever else connections are counted by, wherever they are. */
  readonly perPrincipal: number
  /** Of all together, at this edge. */
  readonly perEdge: number
}
