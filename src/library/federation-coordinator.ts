/**
 * The federation for a program: its orchestrators register, delegate tasks to each other, share what they know and tell
 * each other things. All of it stands in the service's database: another program, on another machine, sees the same.
 *
 *   const federation = new FederationCoordinator(daemon)
 *   await federation.registerOrchestrator({ id: 'reviewer', capabilities: ['review'] })
 *   const result = await federation.delegateTask({ from: 'planner', task: 'review …', capabilities: ['review'] })
 */
import { randomUUID } from 'node:crypto'
import { EventEmitter } from 'node:events'
import type { DelegationListener } from '../federation/federation.js'
import { ServiceError } from '../protocol/errors.js'
import {
  type DelegationInput,
  type DelegationResult,
  delegationSchema,
  type Orchestrator,
  type OrchestratorLoad,
  type OrchestratorQuery,
  type OrchestratorStatus,
  type Registration,
  type RegistrationInput,
  registrationSchema,
} from '../protocol/federation.js'
import { contextOf } from '../protocol/traceparent.js'
import type { ContextEntry, ContextOutcome } from '../storage/federation-context.js'
import type { Delivery, InboxMessage } from '../storage/federation-inbox.js'
import { FederationHeartbeats, type FederationNode } from './federation-heartbeats.js'

/** Bytes of a value of the shared context, and of a broadcast, as JSON. */
const MAX_VALUE_BYTES = 65_536
const MAX_KEY_CHARS = 128
const DEFAULT_BROADCAST_LIFETIME_MS = 60 * 60 * 1_000

/** Events and the arguments of their listeners. They tell of everybody's orchestrators, and of this program's doings. */
export interface FederationEvents {
  'orchestrator:registered': [orchestrator: Orchestrator]
  'orchestrator:unregistered': [id: string]
  'orchestrator:status_changed': [change: { readonly id: string; readonly status: OrchestratorStatus }]
  /** An orchestrator of this program has given a sign of life. */
  'orchestrator:heartbeat': [id: string]
  /** A delegation that this node sees to was given to an orchestrator. */
  'task:delegated': [event: { readonly delegationId: string; readonly from: string; readonly to: string }]
  'task:completed': [result: DelegationResult]
  /** Failed or was cancelled. */
  'task:failed': [result: DelegationResult]
  'context:shared': [event: { readonly group: string; readonly key: string; readonly version: number }]
  /** A message for an orchestrator of this program; comes again until it is acknowledged. */
  'federation:broadcast': [message: InboxMessage & { readonly to: string }]
}

export interface FederationMetricsSnapshot {
  readonly registered: number
  readonly online: number
  readonly busy: number
  readonly offline: number
  readonly delegations: Readonly<Record<'pending' | 'running' | 'completed' | 'failed' | 'cancelled', number>>
}

export interface BroadcastOptions extends OrchestratorQuery {
  /** The same id is the same broadcast. */
  readonly id?: string
  /** How long receivers may take, in ms; default one hour. */
  readonly lifetimeMs?: number
}

export class FederationCoordinator extends EventEmitter<FederationEvents> {
  readonly #node: FederationNode
  readonly #heartbeats: FederationHeartbeats
  #forget: (() => void) | undefined
  readonly #waiting = new AbortController()

  constructor(node: FederationNode) {
    super()
    this.#node = node
    this.#heartbeats = new FederationHeartbeats({
      node,
      onHeartbeat: (id) => this.emit('orchestrator:heartbeat', id),
      onStatus: (change) => this.emit('orchestrator:status_changed', change),
      onMessage: (message) => this.emit('federation:broadcast', message),
    })
  }

  /** Adds an orchestrator, or replaces what it said before, and gives its signs of life from now on. */
  async registerOrchestrator(input: RegistrationInput): Promise<Orchestrator> {
    const registration: Registration = parse(registrationSchema, input)
    const { federation, tenant } = this.#begin()
    if (!(await federation.orchestrators.register(tenant, registration))) {
      throw new ServiceError('unavailable', { reason: 'the tenant has as many orchestrators as it may' })
    }
    this.#heartbeats.add(registration)
    const orchestrator = await federation.orchestrators.find(tenant, registration.id)
    if (!orchestrator) throw new ServiceError('unavailable', { reason: 'somebody has unregistered it just now' })
    this.emit('orchestrator:registered', orchestrator)
    return orchestrator
  }

  /** Takes it out; what it does already goes on. False when there is none of this id. */
  async unregisterOrchestrator(id: string): Promise<boolean> {
    const { federation, tenant } = this.#begin()
    this.#heartbeats.remove(id)
    const removed = await federation.orchestrators.unregister(tenant, id)
    if (removed) this.emit('orchestrator:unregistered', id)
    return removed
  }

  /** Says how much an orchestrator has to do. False when it is not registered any more. */
  async heartbeat(id: string, load: OrchestratorLoad = {}): Promise<boolean> {
    const { federation, tenant } = this.#begin()
    return federation.orchestrators.heartbeat(tenant, id, load)
  }

  async getOrchestrator(id: string): Promise<Orchestrator | undefined> {
    const { federation, tenant } = this.#begin()
    return federation.orchestrators.find(tenant, id)
  }

  async listOrchestrators(query: OrchestratorQuery = {}): Promise<readonly Orchestrator[]> {
    const { federation, tenant } = this.#begin()
    return federation.orchestrators.list(tenant, query)
  }

  /**
   * Has a task done by the orchestrator that suits it best, and waits for its end. With the `id` of a delegation that was
   * asked for before, nothing happens again: its result is returned, once there is one. `traceparent` is where in a trace
   * the program asks.
   * @throws ServiceError when it is refused; a task that failed is a result.
   */
  async delegateTask(input: DelegationInput, trace: { readonly traceparent?: string } = {}): Promise<DelegationResult> {
    const { federation, tenant } = this.#begin()
    const id = await federation.submit({ tenant, subject: tenant }, parse(delegationSchema, input), contextOf(trace))
    const result = await federation.result(tenant, id, this.#waiting.signal)
    if (!result) throw new ServiceError('unavailable', { reason: `the coordinator was shut down; ask again for ${id}` })
    return result
  }

  /** How a delegation ended; undefined while it has not, and when there is none of this id. */
  async getDelegation(id: string): Promise<DelegationResult | undefined> {
    const { federation, tenant } = this.#begin()
    return (await federation.find(tenant, id))?.result ?? undefined
  }

  /** Asks for the end of a delegation; its result tells how it ended. False when it has ended already. */
  async cancelDelegation(id: string): Promise<boolean> {
    const { federation, tenant } = this.#begin()
    return federation.cancel(tenant, id)
  }

  /** What a group knows; `member` is an orchestrator of that group. @throws ServiceError `forbidden` for others. */
  async getSharedContext(member: string, group: string): Promise<readonly ContextEntry[]> {
    const { federation, tenant } = await this.#asMember(member, group)
    return federation.context.list(tenant, group)
  }

  /**
   * Changes one key if it still has version `expected`: 0 for a key that is new. A value of undefined removes it.
   * @throws ServiceError `forbidden` for those who are no members, `invalid_payload` for a value that is too large.
   */
  async setSharedContext(
    member: string,
    group: string,
    change: { readonly key: string; readonly value: unknown; readonly expected: number },
  ): Promise<ContextOutcome> {
    const { key, value } = change
    if (key.length < 1 || key.length > MAX_KEY_CHARS) throw invalid(`a key has 1 to ${MAX_KEY_CHARS} characters`)
    if (value !== undefined) checkSize(value)
    const { federation, tenant } = await this.#asMember(member, group)
    const outcome = await federation.context.change(tenant, group, { ...change, by: member })
    if (outcome.status === 'ok') this.emit('context:shared', { group, key, version: outcome.version })
    return outcome
  }

  /**
   * Puts a message into the inbox of every orchestrator that the query shows, the sender's excepted, and names the
   * receivers. A receiver that reads nothing for a thousand messages gets no more.
   */
  async broadcastToAll(
    sender: string,
    body: unknown,
    options: BroadcastOptions = {},
  ): Promise<{ readonly id: string; readonly receivers: readonly string[] }> {
    checkSize(body)
    const { id = `broadcast_${randomUUID()}`, lifetimeMs = DEFAULT_BROADCAST_LIFETIME_MS, ...query } = options
    const { federation, tenant } = this.#begin()
    const all = await federation.orchestrators.list(tenant, query)
    const receivers = all.filter((it) => it.id !== sender).map((it) => it.id)
    return { id, receivers: await federation.inbox.send(tenant, { id, sender, body, receivers, lifetimeMs }) }
  }

  /** Messages that an orchestrator has not acknowledged, oldest first. */
  async readInbox(orchestrator: string): Promise<readonly InboxMessage[]> {
    const { federation, tenant } = this.#begin()
    return federation.inbox.read(tenant, orchestrator)
  }

  /** False when there is no such message, or it has expired. */
  async acknowledge(orchestrator: string, broadcastId: string): Promise<boolean> {
    const { federation, tenant } = this.#begin()
    return federation.inbox.acknowledge(tenant, orchestrator, broadcastId)
  }

  /** Who has got a broadcast, and who has acknowledged it. */
  async getDelivery(broadcastId: string): Promise<Delivery> {
    const { federation, tenant } = this.#begin()
    return federation.inbox.delivery(tenant, broadcastId)
  }

  async getMetrics(): Promise<FederationMetricsSnapshot> {
    const { federation, tenant } = this.#begin()
    const [all, delegations] = await Promise.all([
      federation.orchestrators.list(tenant),
      federation.countDelegations(tenant),
    ])
    const count = (status: OrchestratorStatus): number => all.filter((it) => it.status === status).length
    const none = { pending: 0, running: 0, completed: 0, failed: 0, cancelled: 0 }
    return {
      registered: all.length,
      online: count('online'),
      busy: count('busy'),
      offline: count('offline'),
      delegations: { ...none, ...delegations },
    }
  }

  /** Gives no more signs of life; delegations go on. May be called twice. */
  async shutdown(): Promise<void> {
    this.#waiting.abort()
    this.#forget?.()
    await this.#heartbeats.stop()
  }

  /** The node may have come to life after this object: looked at with each call. */
  #begin(): FederationNode {
    const { federation, tenant } = this.#node
    if (this.#waiting.signal.aborted) throw new ServiceError('unavailable', { reason: 'the coordinator was shut down' })
    this.#forget ??= federation.listen(this.#listener(tenant))
    return { federation, tenant }
  }

  #listener(tenant: string): DelegationListener {
    return {
      assigned: (row) => {
        if (row.tenant !== tenant) return
        this.emit('task:delegated', { delegationId: row.id, from: row.request.from, to: row.target })
      },
      finished: (row, result) => {
        if (row.tenant !== tenant) return
        this.emit(result.status === 'completed' ? 'task:completed' : 'task:failed', result)
      },
    }
  }

  async #asMember(member: string, group: string): Promise<FederationNode> {
    const node = this.#begin()
    const orchestrator = await node.federation.orchestrators.find(node.tenant, member)
    if (orchestrator?.groups.includes(group)) return node
    throw new ServiceError('forbidden', { action: `see the context of ${group}: ${member} is no member` })
  }
}

interface Schema<T> {
  safeParse(value: unknown):
    | { readonly success: true; readonly data: T }
    | {
        readonly success: false
        readonly error: {
          readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[]
        }
      }
}

function parse<T>(schema: Schema<T>, value: unknown): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw invalid(parsed.error.issues.map(({ path, message }) => `${path.map(String).join('.')}: ${message}`).join('; '))
}

function checkSize(value: unknown): void {
  const bytes = Buffer.byteLength(JSON.stringify(value) ?? '')
  if (bytes === 0 || bytes > MAX_VALUE_BYTES) throw invalid(`a value is JSON of at most ${MAX_VALUE_BYTES} bytes`)
}

const invalid = (reason: string): ServiceError => new ServiceError('invalid_payload', { reason })
