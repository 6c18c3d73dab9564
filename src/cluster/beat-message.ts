/**
 * What membership and its beat thread say to each other. Load and liveness travel through the `Pulse` instead.
 */
import type { NodeId } from '../protocol/ids.js'
import type { RedisConfig } from '../redis/connect.js'
import type { Role } from './cluster.js'

export interface BeatSetup {
  readonly redis: RedisConfig
  /** CLUSTER_NAME. */
  readonly cluster: string
  readonly id: NodeId
  readonly role: Role
  readonly version: string
  readonly weight: number
  /** Memory of the pulse. */
  readonly memory: SharedArrayBuffer
}

/**
 * `enter`: Postgres knows the node as alive, so its beat may create the key · `leave`: remove the key and end ·
 * `relay`: tell this named pipe of every acknowledged beat.
 */
export type ToBeatThread = { readonly type: 'enter' | 'leave' } | { readonly type: 'relay'; readonly pipe: string }

/**
 * `connected`: waits for `enter` · `entered`: first beat acknowledged since `enter` · `absent`: Redis does not know us ·
 * `dead`: declared dead, no more beats · `trouble`, `recovered`: beats fail, and go on.
 */
export type FromBeatThread =
  | { readonly type: 'connected' | 'entered' | 'absent' | 'dead' | 'recovered' }
  | { readonly type: 'trouble'; readonly reason: string }
