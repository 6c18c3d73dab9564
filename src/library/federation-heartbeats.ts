/**
 * Signs of life of a program's orchestrators, and what they hear meanwhile: messages for them, and who comes and goes.
 */
import type { Federation } from '../federation/federation.js'
import type { OrchestratorStatus, Registration } from '../protocol/federation.js'
import type { InboxMessage } from '../storage/federation-inbox.js'

/** Three of them fit before an orchestrator counts as offline. */
const HEARTBEAT_MS = 10_000
/** The longest that a message waits before its receiver hears of it. */
const LISTEN_MS = 1_000

/** What the coordinator needs of the node that it speaks through. */
export interface FederationNode {
  /** @throws ServiceError `unavailable` while the node does not run or takes no part in the federation. */
  readonly federation: Federation
  readonly tenant: string
}

export interface HeartbeatHandlers {
  readonly node: FederationNode
  readonly onHeartbeat: (id: string) => void
  readonly onStatus: (change: { readonly id: string; readonly status: OrchestratorStatus }) => void
  readonly onMessage: (message: InboxMessage & { readonly to: string }) => void
}

export class FederationHeartbeats {
  readonly #handlers: HeartbeatHandlers
  readonly #mine = new Map<string, Registration>()
  readonly #statuses = new Map<string, OrchestratorStatus>()
  #timer: NodeJS.Timeout | undefined
  #round: Promise<void> | undefined
  #lastBeat = Number.NEGATIVE_INFINITY

  constructor(handlers: HeartbeatHandlers) {
    this.#handlers = handlers
  }

  add(registration: Registration): void {
    this.#mine.set(registration.id, registration)
    // Does not keep the process: a program that has ended gives no signs of life.
    this.#timer ??= setInterval(() => this.#begin(), LISTEN_MS).unref()
  }

  remove(id: string): void {
    this.#mine.delete(id)
  }

  /** May be called twice. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#mine.clear()
    await this.#round
  }

  /** One round at a time: a slow database must not gather them. */
  #begin(): void {
    // A database that is away is said by the program's own calls; the next round tries again.
    this.#round ??= this.#listen()
      .catch(() => undefined)
      .finally(() => {
        this.#round = undefined
      })
  }

  async #listen(): Promise<void> {
    if (performance.now() - this.#lastBeat >= HEARTBEAT_MS) {
      this.#lastBeat = performance.now()
      for (const registration of this.#mine.values()) await this.#beat(registration)
    }
    const { federation, tenant } = this.#handlers.node
    for (const to of this.#mine.keys()) {
      for (const message of await federation.inbox.read(tenant, to)) this.#handlers.onMessage({ ...message, to })
    }
    await this.#compare()
  }

  /** Whoever was away so long that it was forgotten comes back as it was. */
  async #beat(registration: Registration): Promise<void> {
    const { federation, tenant } = this.#handlers.node
    const known = await federation.orchestrators.heartbeat(tenant, registration.id, {})
    if (!known && this.#mine.has(registration.id)) await federation.orchestrators.register(tenant, registration)
    this.#handlers.onHeartbeat(registration.id)
  }

  async #compare(): Promise<void> {
    const { federation, tenant } = this.#handlers.node
    const present = await federation.orchestrators.list(tenant)
    for (const { id, status } of present) {
      const before = this.#statuses.get(id)
      this.#statuses.set(id, status)
      if (before !== undefined && before !== status) this.#handlers.onStatus({ id, status })
    }
    const ids = new Set(present.map(({ id }) => id))
    for (const id of [...this.#statuses.keys()]) if (!ids.has(id)) this.#statuses.delete(id)
  }
}
