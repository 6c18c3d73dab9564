/**
 * The load as the run sees it: a process of its own, so that its clients are as far from the faults as real ones.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { forget, watch } from '../servers/watchdog.js'
import type {
  CrowdStep,
  EdgeAddress,
  Hit,
  InFlight,
  LoadPlan,
  LoadReport,
  LoadStatus,
  Order,
  Reply,
  SpecialCommand,
} from './plan.js'

// The built program, also when this file runs from its source.
const PROGRAM = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../../../dist/chaos/load/main.js' : './main.js', import.meta.url),
)

export class LoadProcess {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, (reply: Reply) => void>()
  #orders = 0

  constructor() {
    // In a group of its own: Ctrl-C is for the run, which then ends the load.
    this.#child = fork(PROGRAM, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], detached: true })
    if (this.#child.pid !== undefined) watch(`KILL=${this.#child.pid}`)
    this.#child.on('message', (reply: Reply & { readonly order: number }) => this.#take(reply.order, reply))
    this.#child.on('exit', (code, signal) => this.#ended(`the load ended: ${code ?? signal}`))
    this.#child.on('error', (error) => this.#ended(`the load did not start: ${error.message}`))
  }

  async start(plan: LoadPlan): Promise<void> {
    await this.#ask({ type: 'start', plan }, 'ready')
  }

  /** A fault begins: what did it find? */
  async faultBegan(hit: Hit): Promise<InFlight> {
    return (await this.#ask({ type: 'fault', hit }, 'in-flight')).found
  }

  async faultHealed(): Promise<void> {
    await this.#ask({ type: 'healed' }, 'done')
  }

  /** Tells which nodes stand behind the addresses now. */
  async setEdges(edges: readonly EdgeAddress[]): Promise<void> {
    await this.#ask({ type: 'edges', edges }, 'done')
  }

  /** Resolves when it has ended. */
  async special(what: SpecialCommand): Promise<void> {
    await this.#ask({ type: 'command', what }, 'done')
  }

  /** Resolves when the crowd has done it. */
  async crowd(step: CrowdStep): Promise<void> {
    await this.#ask({ type: 'crowd', step }, 'done')
  }

  async status(): Promise<LoadStatus> {
    return (await this.#ask({ type: 'status' }, 'status')).status
  }

  async finish(timeoutMs: number): Promise<LoadReport> {
    return (await this.#ask({ type: 'finish', timeoutMs }, 'report')).report
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL')
  }

  /** @throws Error with the reason when the load fails or ends instead. */
  #ask<T extends Reply['type']>(order: Order, type: T): Promise<Extract<Reply, { type: T }>> {
    const id = ++this.#orders
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, (reply) => {
        if (reply.type === type) resolve(reply as Extract<Reply, { type: T }>)
        else reject(new Error(reply.type === 'failed' ? reply.reason : `the load answered ${reply.type}`))
      })
      this.#child.send({ ...order, order: id }, (error) => {
        if (error) this.#take(id, { type: 'failed', reason: error.message })
      })
    })
  }

  #take(id: number, reply: Reply): void {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    waiting?.(reply)
  }

  #ended(reason: string): void {
    if (this.#child.pid !== undefined) forget(`KILL=${this.#child.pid}`)
    for (const id of [...this.#waiting.keys()]) this.#take(id, { type: 'failed', reason })
  }
}
