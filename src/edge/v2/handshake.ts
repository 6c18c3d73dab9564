/**
 * The first request of a connection: which version, who is it, and what of that is asked for.
 */
import { randomUUID } from 'node:crypto'
import { ServiceError } from '../../protocol/errors.js'
import { V2_EVENT_NAMES } from '../../protocol/v2/events.js'
import { PROTOCOL, type Request } from '../../protocol/v2/frames.js'
import { invalidParams } from '../../protocol/v2/invalid-params.js'
import { METHOD_NAMES } from '../../protocol/v2/methods.js'
import { type ConnectParams, connectParams } from '../../protocol/v2/params.js'
import { grantedScopes } from '../../protocol/v2/scopes.js'
import type { Principal } from '../auth.js'
import { MAX_WITH_REPLIES_BYTES } from '../connection.js'
import { recognise } from '../introduction.js'
import { idleSeconds } from '../websocket.js'
import type { Peer } from './asked.js'
import type { V2Parts } from './parts.js'

const CLOSE_PROTOCOL = 1002
const CLOSE_POLICY = 1008
const MS_PER_SECOND = 1_000
const CAPABILITIES = ['streaming', 'resume', 'tool-approval', 'teams', 'binary', 'json-rpc'] as const

export type Outcome =
  | { readonly ok: true; readonly hello: object }
  | { readonly ok: false; readonly error: ServiceError; readonly close: number }

export class Handshake {
  constructor(
    private readonly peer: Peer,
    private readonly parts: V2Parts,
  ) {}

  carryOut({ method, params }: Request): Outcome {
    if (method !== 'auth.connect') return refused(new ServiceError('handshake_required'))
    const parsed = connectParams.safeParse(params)
    if (!parsed.success) return refused(invalidParams(parsed.error))
    const { minProtocol: min, maxProtocol: max } = parsed.data
    if (min > PROTOCOL || max < PROTOCOL) {
      return refused(new ServiceError('protocol_mismatch', { min, max }), CLOSE_PROTOCOL)
    }
    try {
      return { ok: true, hello: this.#welcome(parsed.data) }
    } catch (error) {
      if (error instanceof ServiceError) return refused(error)
      throw error
    }
  }

  #welcome({ auth, scopes: asked }: ConnectParams): object {
    recognise(this.parts, this.peer.connection, auth)
    const { principal } = this.peer.connection
    const scopes = grantedScopes(principal, asked)
    this.peer.asked = asked
    this.peer.grant(scopes)
    return this.#hello(principal, scopes)
  }

  #hello({ expiresAt }: Principal, scopes: readonly string[]) {
    const { version, maxPayloadBytes, heartbeatIntervalMs } = this.parts.settings
    return {
      ...{ type: 'hello', protocol: PROTOCOL, connectionId: `conn_${randomUUID()}` },
      server: { version, capabilities: CAPABILITIES },
      ...{ methods: METHOD_NAMES, events: V2_EVENT_NAMES },
      policy: {
        ...{ maxPayloadBytes, heartbeatIntervalMs, maxBufferedBytes: MAX_WITH_REPLIES_BYTES },
        heartbeatTimeoutMs: idleSeconds(heartbeatIntervalMs) * MS_PER_SECOND,
      },
      auth: { scopes, ...(expiresAt !== undefined && { expiresAtMs: expiresAt }) },
    }
  }
}

const refused = (error: ServiceError, close = CLOSE_POLICY): Outcome => ({ ok: false, error, close })
