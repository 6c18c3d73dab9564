/**
 * What answers a request: one function for each endpoint. An endpoint without one does not compile.
 */
import type { Input } from '../../protocol/rest/endpoint.js'
import type { EndpointName, Endpoints } from '../../protocol/rest/endpoints.js'
import type { Principal } from '../auth.js'
import type { Caller } from '../caller.js'
import type { Answer } from './answer.js'

export interface Asked<N extends EndpointName> extends Input<Endpoints[N]> {
  readonly caller: Caller
  readonly principal: Principal
  /** `Idempotency-Key`, where the endpoint takes one and it was sent. */
  readonly key: string | undefined
  /** `If-None-Match`, '' when absent. */
  readonly knownTag: string
}

export type Handler<N extends EndpointName> = (asked: Asked<N>) => Promise<Answer> | Answer

/** The one that has no answer with an end is not among them. */
export type HandledName = Exclude<EndpointName, 'streamEvents'>
export type Handlers<N extends HandledName = HandledName> = { readonly [K in N]: Handler<K> }
