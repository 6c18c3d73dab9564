/**
 * This process as a member of a cluster: a row in Postgres, and a beat in Redis every second from a thread of its own.
 *
 *   main loop ── ticks, load ──▶ pulse (shared memory) ──▶ beat thread ──▶ node:<id> in Redis ──▶ leader
 *             ◀── time of the last acknowledged beat ──
 */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { type NodeId, nodeName } from '../protocol/ids.js'
import type { RedisConfig } from '../redis/connect.js'
import type { Nodes } from '../storage/nodes.js'
import type { BeatSetup, FromBeatThread, ToBeatThread } from './beat-message.js'
import type { ControlLog, Member, NodeLoad, Role } from './cluster.js'
import { Pulse, TICK_MS } from './pulse.js'

/** Generous: a start on a busy machine; a Redis that answers is reached in milliseconds. */
const ENTER_TIMEOUT_MS = 10_000
/** How long a stop waits for the key to be removed; it would expire by itself. */
const LEAVE_TIMEOUT_MS = 2_000

export interface MembershipOptions {
  readonly id: NodeId
  readonly role: Role
  readonly version: string
  /** Share of the cluster's work that it takes; 1 is normal. */
  readonly weight: number
  /** Sessions (worker) or connections (edge) that it may have. */
  readonly capacity: number
  /** CLUSTER_NAME. */
  readonly cluster: string
  readonly redis: RedisConfig
  readonly nodes: Pick<Nodes, 'register' | 'setStatus' | 'find'>
  readonly log: ControlLog
}

export class Membership implements Member {
  readonly #pulse = new Pulse()
  #thread: Worker | undefined
  #ticks: NodeJS.Timeout | undefined
  #joined = false
  #dead = false
  #stopping: Promise<void> | undefined
  #onDead = () => {}

  constructor(private readonly options: MembershipOptions) {}

  get id(): NodeId {
    return this.options.id
  }

  /**
   * Resolves when the first beat was acknowledged: from then on the leader watches this process.
   * @throws when Redis or Postgres cannot be reached.
   */
  async start(): Promise<void> {
    this.#pulse.tick()
    this.#ticks = setInterval(() => this.#pulse.tick(), TICK_MS).unref()
    const thread = this.#startThread()
    try {
      await heard(thread, 'connected')
      await this.#register()
      const entered = heard(thread, 'entered')
      this.#tell({ type: 'enter' })
      await entered
      this.#joined = true
    } catch (error) {
      await this.stop()
      throw new Error(`${this.id} could not join the cluster`, { cause: error })
    }
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#leave()
    return this.#stopping
  }

  mayStartEffects(): boolean {
    return !this.#dead && this.#pulse.mayStartEffects()
  }

  relayBeats(pipe: string): number {
    this.#tell({ type: 'relay', pipe })
    // At least 1: nobody who beats is told that nobody does.
    return Math.max(1, this.#pulse.commandsLeftMs())
  }

  setLoad(load: NodeLoad): void {
    this.#pulse.load = load
  }

  setStatus(status: 'live' | 'draining'): void {
    this.#pulse.draining = status === 'draining'
    this.options.nodes.setStatus(this.id, status).catch((error: unknown) => {
      // The coordinator goes by the beat too; the row is for people.
      this.options.log.warn({ err: error }, 'this node could not write its status to the database')
    })
  }

  onDead(handler: () => void): void {
    this.#onDead = handler
    if (this.#dead) handler()
  }

  async #register(): Promise<void> {
    const { id, role, version, capacity, nodes } = this.options
    await nodes.register({ id, name: nodeName(id), role, version, capacity })
    const record = await nodes.find(id)
    if (record?.status !== 'live') throw new Error(`the id was used before and is ${record?.status ?? 'unknown'} now`)
  }

  #startThread(): Worker {
    const { id, role, version, weight, cluster, redis } = this.options
    const setup: BeatSetup = { id, role, version, weight, cluster, redis, memory: this.#pulse.memory }
    const thread = openThread(setup)
    thread.on('message', (message: FromBeatThread) => this.#onMessage(message))
    thread.on('error', (error) => this.#onThreadEnd(error))
    thread.on('exit', () => this.#onThreadEnd(undefined))
    this.#thread = thread
    return thread
  }

  #onMessage(message: FromBeatThread): void {
    const { log } = this.options
    if (message.type === 'dead') this.#die('the cluster has declared this node dead')
    if (message.type === 'absent') void this.#askWhetherAlive()
    if (message.type === 'trouble') log.warn({ reason: message.reason }, 'beats to Redis fail; no new effects start')
    if (message.type === 'recovered') log.info({}, 'beats to Redis go on')
  }

  /** Redis does not know this node: silent for too long, or Redis lost writes. Only Postgres can tell which. */
  async #askWhetherAlive(): Promise<void> {
    try {
      const record = await this.options.nodes.find(this.id)
      if (record?.status === 'live' || record?.status === 'draining') this.#tell({ type: 'enter' })
      else this.#die(`the database lists this node as ${record?.status ?? 'unknown'}`)
    } catch (error) {
      // The thread asks again with its next beat; until then no effect starts.
      this.options.log.warn({ err: error }, 'Redis lost this node, and the database cannot be asked about it')
    }
  }

  /** Without its thread this process cannot show that it lives. Before it has joined, `start` tells. */
  #onThreadEnd(error: Error | undefined): void {
    if (this.#stopping || this.#dead || !this.#joined) return
    if (error) this.options.log.error({ err: error }, 'the beat thread failed')
    this.#die('the beat thread ended')
  }

  #die(reason: string): void {
    if (this.#dead || this.#stopping) return
    this.#dead = true
    this.#pulse.lapse()
    this.options.log.error({ node: this.id }, `${reason}; it must exit`)
    this.#onDead()
  }

  async #leave(): Promise<void> {
    this.#pulse.lapse()
    await this.#endThread()
    clearInterval(this.#ticks)
    await this.options.nodes.setStatus(this.id, 'left').catch((error: unknown) => {
      this.options.log.warn({ err: error }, 'this node could not sign off; it will be declared dead')
    })
  }

  async #endThread(): Promise<void> {
    const thread = this.#thread
    this.#thread = undefined
    if (!thread) return
    const ended = once(thread, 'exit').catch(() => undefined) // It failed: that is an end too.
    thread.ref()
    thread.postMessage({ type: 'leave' } satisfies ToBeatThread)
    await Promise.race([ended, sleep(LEAVE_TIMEOUT_MS, undefined, { ref: false })])
    await thread.terminate()
  }

  #tell(message: ToBeatThread): void {
    this.#thread?.postMessage(message)
  }
}

function openThread(setup: BeatSetup): Worker {
  const options = { name: 'beat', workerData: setup }
  const fromSource = import.meta.url.endsWith('.ts')
  const thread = fromSource
    ? new Worker(loadingSource(new URL('./beat-thread.ts', import.meta.url)), { ...options, eval: true })
    : new Worker(new URL('./beat-thread.js', import.meta.url), options)
  thread.unref()
  return thread
}

// A thread does not inherit the loader that reads TypeScript.
const loadingSource = (file: URL): string => `
  import('tsx/esm/api').then(({ register }) => {
    register()
    return import(${JSON.stringify(file)})
  })`

/** Resolves with the thread's word; rejects when the thread ends before, or is silent for too long. */
function heard(thread: Worker, word: FromBeatThread['type']): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => done(new Error(`no beat was possible in ${ENTER_TIMEOUT_MS} ms`)), ENTER_TIMEOUT_MS)
    const onMessage = (message: FromBeatThread) => message.type === word && done()
    const onExit = () => done(new Error('the beat thread ended'))
    const done = (error?: Error) => {
      clearTimeout(timer)
      thread.off('message', onMessage).off('error', done).off('exit', onExit)
      if (error) reject(error)
      else resolve()
    }
    thread.on('message', onMessage).on('error', done).on('exit', onExit)
  })
}
