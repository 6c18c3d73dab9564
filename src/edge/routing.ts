/**
 * `route_task`: who would get a task and where it would start, and with `execute` the task is delegated too. The answer
 * is what holds at this moment; nothing is reserved by asking.
 */
import type { ClusterView } from '../cluster/cluster.js'
import { errorReply } from '../protocol/codec.js'
import { ServiceError } from '../protocol/errors.js'
import type { DelegationRequest, DelegationResult } from '../protocol/federation.js'
import type { Reply, RouteDecision } from '../protocol/replies.js'
import { newTask } from '../protocol/session.js'
import { contextOf } from '../protocol/traceparent.js'
import type { Client } from './client.js'
import type { TaskFederation } from './dependencies.js'
import { type Message, requestIdOf } from './message.js'
import { echo } from './queries.js'
import type { SessionPlacement } from './session-placement.js'

/** Results that clients of this edge wait for; each is looked for in the database twice a second. */
const MAX_WAITING = 1_000
const BUSY_RETRY_MS = 1_000
const FULL_SCORE = 100

export interface RoutingDependencies {
  readonly placement: SessionPlacement
  readonly view: Pick<ClusterView, 'nodes'>
  /** Undefined: this node takes no part in the federation. */
  readonly federation: TaskFederation | undefined
}

export class Routing {
  readonly #deps: RoutingDependencies
  /** By the id of the delegation: a client that asks again waits once. */
  readonly #waiting = new Map<Client, Map<string, AbortController>>()
  #waits = 0

  constructor(deps: RoutingDependencies) {
    this.#deps = deps
  }

  /** @throws ServiceError as a delegation does, and `unavailable` where nothing can be delegated. */
  async carryOut(client: Client, message: Message<'route_task'>): Promise<void> {
    const { task, execute = false, delegationId, ...rest } = message.payload
    const request: DelegationRequest = { ...rest, task, ...(delegationId !== undefined && { id: delegationId }) }
    const taskId = newTask(task, new Date()).id
    const answer = echo(requestIdOf(message))
    const decision = await this.#decide(client.principal.tenant, taskId, request)
    if (!execute) {
      push(client, { type: 'task_routed', taskId, decision, ...answer })
      return
    }
    const { federation } = this.#deps
    if (!federation) throw new ServiceError('unavailable', { reason: 'this node has ENABLE_FEDERATION=false' })
    if (this.#waits >= MAX_WAITING) throw new ServiceError('busy', { retryAfterMs: BUSY_RETRY_MS })
    const id = await federation.submit(client.principal, request, contextOf(message))
    push(client, { type: 'task_routed', taskId, decision, delegationId: id, ...answer })
    // Not awaited: it may take minutes, and the client's next message need not wait for it.
    this.#result(client, id, federation)
      .then((result) => {
        if (result) push(client, { type: 'delegation_result', delegationId: id, result, ...answer })
      })
      // The client asks again with the same id: the result stays in the database.
      .catch((error: ServiceError) => push(client, errorReply(error, answer)))
  }

  /** The client has gone, or the edge goes: nobody waits for these results any more. */
  forget(client: Client): void {
    for (const wait of this.#waiting.get(client)?.values() ?? []) wait.abort()
  }

  stop(): void {
    for (const client of this.#waiting.keys()) this.forget(client)
  }

  async #decide(tenant: string, taskId: string, request: DelegationRequest): Promise<RouteDecision> {
    const chosen = await this.#deps.federation?.route(tenant, request)
    const placed = this.#deps.placement.place(`${tenant}/${taskId}`)
    if (chosen === undefined) return { ...placed, ...this.#loadOf(placed.worker) }
    const strategy = 'federation'
    if (chosen.status === 'none') {
      return { ...placed, strategy, reason: chosen.reason, reasons: [chosen.explanation] }
    }
    return { ...placed, strategy, ...chosen.choice }
  }

  #loadOf(worker: string): Pick<RouteDecision, 'score' | 'reasons'> {
    const node = this.#deps.view.nodes().find(({ id }) => id === worker)
    if (!node) return { score: 0, reasons: ['no worker is known yet: the session waits in its shard until one comes'] }
    const { busy, queued, capacity } = node.load
    const free = capacity > 0 ? Math.max(0, 1 - (busy + queued) / capacity) : 1
    return {
      score: Math.round(free * FULL_SCORE),
      reasons: [`${busy} of ${capacity} sessions at work, ${queued} wait`],
    }
  }

  async #result(client: Client, id: string, federation: TaskFederation): Promise<DelegationResult | undefined> {
    const wait = new AbortController()
    const waits = this.#waiting.get(client) ?? new Map<string, AbortController>()
    waits.get(id)?.abort()
    this.#waiting.set(client, waits.set(id, wait))
    this.#waits += 1
    if (!client.isOpen) wait.abort()
    try {
      return await federation.result(client.principal.tenant, id, wait.signal)
    } finally {
      this.#waits -= 1
      if (waits.get(id) === wait) waits.delete(id)
      if (waits.size === 0 && this.#waiting.get(client) === waits) this.#waiting.delete(client)
    }
  }
}

function push(client: Client, frame: Reply): void {
  if (client.isOpen) client.push(JSON.stringify(frame))
}
