/**
 * Requests of one connection after its handshake: may it, is it well-formed, and then the method's own handler. Answers leave
 * in the order of the requests, but for one that takes long.
 */
import { LIMITS } from '../../bus/bus.js'
import type { RequestId } from '../../protocol/commands.js'
import { ServiceError } from '../../protocol/errors.js'
import { maySend } from '../../protocol/permissions.js'
import type { Request } from '../../protocol/v2/frames.js'
import { invalidParams } from '../../protocol/v2/invalid-params.js'
import { isMethod, METHODS, type Method, type MethodName } from '../../protocol/v2/methods.js'
import { Caller } from '../caller.js'
import { inOrderFor } from '../dispatch.js'
import type { Asked, Outcome, Peer } from './asked.js'
import { HANDLERS } from './methods.js'
import type { V2Parts } from './parts.js'
import { TokenBucket } from './token-bucket.js'

/** A request that waits for a store no longer holds up what its client sent after it. */
const IN_ORDER_MS = 1_000
/** Requests of one connection that have no answer yet. */
const MAX_OPEN = 256

/** The client, as its requests are answered. */
export interface Answering extends Peer {
  answer(id: RequestId, payload: object): void
  refuse(id: RequestId, error: unknown): void
}

export class Requests {
  readonly #link: Answering
  readonly #parts: V2Parts
  readonly #bucket = new TokenBucket()
  #open = 0

  constructor(link: Answering, parts: V2Parts) {
    this.#link = link
    this.#parts = parts
  }

  /** Answers whatever happens. Never rejects. */
  carryOut(request: Request): Promise<void> {
    return inOrderFor(IN_ORDER_MS, this.#answer(request))
  }

  async #answer(request: Request): Promise<void> {
    this.#open += 1
    try {
      const { payload, after } = await this.#outcome(request)
      this.#link.answer(request.id, payload)
      after?.()
    } catch (error) {
      this.#link.refuse(request.id, error)
    } finally {
      this.#open -= 1
    }
  }

  async #outcome({ method: name, params, traceparent }: Request): Promise<Outcome> {
    if (this.#open > MAX_OPEN) throw new ServiceError('busy', { retryAfterMs: LIMITS.busyRetryMs })
    if (!isMethod(name)) throw new ServiceError('unknown_method', { method: name })
    this.#checkMay(name)
    const { params: schema }: Method = METHODS[name]
    const parsed = schema.safeParse(params ?? {})
    if (!parsed.success) throw invalidParams(parsed.error)
    const { principal, meter } = this.#link.connection
    const caller = new Caller(this.#parts.dispatcher, principal, traceparent, meter)
    // The row and the handler have the same name, and with it the same shapes.
    const handler = HANDLERS[name] as (asked: Asked<MethodName>) => Promise<Outcome> | Outcome
    return await handler({ params: parsed.data, caller, principal, peer: this.#link, parts: this.#parts } as never)
  }

  /** @throws ServiceError when it is one too many, or not for this client */
  #checkMay(name: MethodName): void {
    const { cost, scope, action }: Method = METHODS[name]
    const { principal } = this.#link.connection
    const isLimited = this.#parts.isLimited() && !principal.unlimited
    const retryAfterMs = isLimited ? this.#bucket.take(cost) : undefined
    if (retryAfterMs !== undefined) throw new ServiceError('rate_limit_exceeded', { retryAfterMs })
    const may = scope === undefined || this.#link.scopes.has(scope)
    if (!may || (action !== undefined && !maySend(principal, action))) {
      throw new ServiceError('forbidden', { action: `use ${name}` })
    }
  }
}
