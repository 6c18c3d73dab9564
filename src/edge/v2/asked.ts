/**
 * What a handler of a method is given, and what it gives back.
 */
import type { ServiceError } from '../../protocol/errors.js'
import type { SessionId } from '../../protocol/ids.js'
import type { MethodName, Params } from '../../protocol/v2/methods.js'
import type { From } from '../../protocol/v2/params.js'
import type { V2Scope } from '../../protocol/v2/scopes.js'
import type { Principal } from '../auth.js'
import type { Caller } from '../caller.js'
import type { Connection } from '../connection.js'
import type { V2Parts } from './parts.js'
import type { Standing } from './standing.js'
import type { WatchList } from './watch-list.js'

/** The client that asks, as its handlers see it. */
export interface Peer {
  readonly connection: Connection
  readonly watches: WatchList
  readonly scopes: ReadonlySet<V2Scope>
  /** Of what its credential may do it asked for these; undefined: for all. */
  asked: readonly V2Scope[] | undefined
  /** The handshake is done, or the rights were renewed. */
  grant(scopes: readonly V2Scope[]): void
  /** Shows a session from where it stood, or from where the client is; what goes wrong is told as an event. */
  follow(sessionId: SessionId, request: FollowRequest): void
  /** Ends what `follow` began. */
  unfollow(sessionId: SessionId): void
  /** Begins or ends the telling of the whole tenant, as its subscriptions want and its role allows. Whether it is told. */
  feed(): boolean
  /** Tells of something that went wrong, and that no request asked for. */
  complain(error: ServiceError): void
}

export interface FollowRequest {
  readonly standing: Standing
  readonly from?: From | undefined
  /** Whether everything is told, or only what a subscription chooses. */
  readonly whole: boolean
  /** The client has not named the session. */
  readonly fed?: boolean
}

export interface Asked<N extends MethodName> {
  readonly params: Params<N>
  readonly caller: Caller
  readonly principal: Principal
  readonly peer: Peer
  readonly parts: V2Parts
}

export interface Outcome {
  readonly payload: object
  /** What begins when the answer is on its way: events never come before it. */
  readonly after?: (() => void) | undefined
}

export type Handler<N extends MethodName> = (asked: Asked<N>) => Promise<Outcome> | Outcome
export type Handlers<N extends MethodName> = { readonly [K in N]: Handler<K> }
