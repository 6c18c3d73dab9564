/**
 * Questions to the service by HTTP, and the shapes of its answers. Whatever is not its own answer becomes an `ApiError`.
 */
import type { BudgetUse, UsageReport } from '../src/protocol/budgets.js'
import type { ClientRole } from '../src/protocol/permissions.js'
import type { DaemonStatus } from '../src/protocol/replies.js'
import type { Session } from '../src/protocol/session.js'
import { headersWith } from './credential.js'
import type { ClusterPicture, ClusterShard, Memory, Page, PastMove } from './model/shapes.js'

export interface Who {
  readonly tenant: string
  readonly subject: string
  readonly role: ClientRole
  readonly scopes: readonly string[] | null
  readonly expiresAt: string | null
}

type Query = Readonly<Record<string, string | number | undefined>>

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly retryAfterMs: number | undefined,
  ) {
    super(message)
    this.name = 'ApiError'
  }
}

const UNAUTHORIZED = 401
const TOO_MANY = 429
/** A refusal for asking too often is waited out, this many times. */
const MAX_WAITS = 3
const DEFAULT_WAIT_MS = 2_000

/** Why a credential is no good, for whoever has just typed it. */
const CREDENTIAL_FAULTS: Readonly<Record<string, string>> = {
  credentials_missing: 'A token is needed here',
  jwt_expired: 'This token has expired: make a new one',
  jwt_not_yet_valid: 'This token is not valid yet',
  jwt_malformed: 'This is no token',
  jwt_signature_invalid: 'This token was made for another service',
  jwt_issuer_mismatch: 'This token was made by another issuer',
  jwt_audience_mismatch: 'This token was made for another audience',
  api_key_invalid: 'This is neither a token nor a known API key',
}

export class Api {
  readonly #root: URL
  readonly #headers: Readonly<Record<string, string>>
  readonly #onRefused: (error: Error) => void

  /** `onRefused` is told when the credential is no good any more. */
  constructor(root: URL, credential: string | undefined, onRefused: (error: Error) => void) {
    this.#root = new URL('api/', root)
    this.#headers = headersWith(credential)
    this.#onRefused = onRefused
  }

  who(): Promise<Who> {
    return this.#get('whoami')
  }

  status(signal?: AbortSignal): Promise<DaemonStatus> {
    return this.#get('status', {}, signal)
  }

  async sessions(query: Query, signal?: AbortSignal): Promise<Page<Session>> {
    const { sessions, cursor } = await this.#get<{ sessions: Session[]; cursor?: string }>('sessions', query, signal)
    return { rows: sessions, cursor }
  }

  async cluster(signal?: AbortSignal): Promise<ClusterPicture> {
    const [cluster, { shards }] = await Promise.all([
      this.#get<Omit<ClusterPicture, 'shards'>>('cluster', {}, signal),
      this.#get<{ shards: ClusterShard[] }>('cluster/shards', {}, signal),
    ])
    return { ...cluster, shards }
  }

  async moves(signal?: AbortSignal): Promise<readonly PastMove[]> {
    return (await this.#get<{ moves: PastMove[] }>('cluster/moves', { limit: 200 }, signal)).moves
  }

  async budgets(orchestratorId: string, sessionId: string, signal?: AbortSignal): Promise<readonly BudgetUse[]> {
    const query = { orchestratorId, sessionId }
    return (await this.#get<{ budgets: BudgetUse[] }>('budgets', query, signal)).budgets
  }

  usage(query: Query, signal?: AbortSignal): Promise<UsageReport> {
    return this.#get('usage', query, signal)
  }

  /** In the order in which they were, or with `q` those that fit best. */
  async memories({ q, ...query }: Query, signal?: AbortSignal): Promise<Page<Memory>> {
    const path = q ? 'memory/search' : 'memory'
    type Answer = { memories: Memory[]; cursor?: string }
    const { memories, cursor } = await this.#get<Answer>(path, { ...(q && { q }), ...query }, signal)
    return { rows: memories, cursor }
  }

  async charter(signal?: AbortSignal): Promise<{ charter: Record<string, unknown>; source?: string }> {
    return this.#get('charter', {}, signal)
  }

  async #get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
    for (let waits = 0; ; waits++) {
      const answer = await this.#ask(path, query, signal)
      if (answer.ok) return (await answer.json()) as T
      const error = await errorOf(answer)
      if (error.status === UNAUTHORIZED) this.#onRefused(error)
      if (error.status !== TOO_MANY || waits === MAX_WAITS) throw error
      await new Promise((resolve) => setTimeout(resolve, error.retryAfterMs ?? DEFAULT_WAIT_MS))
      signal?.throwIfAborted()
    }
  }

  #ask(path: string, query: Query, signal: AbortSignal | undefined): Promise<Response> {
    const url = new URL(path, this.#root)
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined && value !== '') url.searchParams.set(name, String(value))
    }
    // No cookies: whoever asks is known by the credential alone.
    return fetch(url, { headers: this.#headers, credentials: 'omit', ...(signal && { signal }) })
  }
}

/** The service's own words, or what a proxy in front of it left of them. */
async function errorOf(answer: Response): Promise<ApiError> {
  const body: unknown = await answer.json().catch(() => undefined)
  const { code, detail, error, retryAfterMs } = (body ?? {}) as Readonly<Record<string, unknown>>
  const word = String(code ?? error ?? `http_${answer.status}`)
  const text = CREDENTIAL_FAULTS[word] ?? String(detail ?? error ?? `The service answered ${answer.status}`)
  return new ApiError(answer.status, word, text, typeof retryAfterMs === 'number' ? retryAfterMs : undefined)
}
