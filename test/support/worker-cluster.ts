/**
 * Workers and one client in this process, over the in-process bus or Redis and a real Postgres: everything of the worker
 * role is real but its process. Ownership moves as in a cluster, by compare-and-set on the assignments; over Redis shards
 * also move as planned, by the leader's own code.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished, vi } from 'vitest'
import type { Budgets } from '../../src/budget/budgets.js'
import type { Acceptance, Bus, EdgeOutbox, OutEntry, StoredEvent } from '../../src/bus/bus.js'
import type { Command } from '../../src/bus/command.js'
import { createMemoryBus } from '../../src/bus/memory-bus.js'
import type { LoggedEvent, LoggedEventType } from '../../src/protocol/events.js'
import {
  LOG_START,
  type NodeId,
  newCommandId,
  newNodeId,
  newSessionId,
  newTaskId,
  parseEventId,
} from '../../src/protocol/ids.js'
import { newTask, type SessionOptions, type SessionType, type Task } from '../../src/protocol/session.js'
import type { Gate } from '../../src/runtimes/gate.js'
import type { ToolHooks } from '../../src/runtimes/hooks/hooks.js'
import type { Runtime } from '../../src/runtimes/runtime.js'
import type { Database } from '../../src/storage/database.js'
import { Events } from '../../src/storage/events.js'
import { Nodes } from '../../src/storage/nodes.js'
import { Sessions } from '../../src/storage/sessions.js'
import { type Assignment, ShardAssignments } from '../../src/storage/shard-assignments.js'
import { Workspaces } from '../../src/storage/workspaces.js'
import type { Worker } from '../../src/worker/worker.js'
import type { WorkerOptions } from '../../src/worker/worker-options.js'
import { openServerDatabase } from './databases.js'
import { openRedisPlane, type RedisPlane, TestLeader } from './redis-plane.js'
import { testWorker } from './test-worker.js'

const SHARD = 0
const TENANT = 'acme'
/** Long enough for a loaded machine; a test that passes never waits for it. */
const PATIENCE = { timeout: 40_000, interval: 5 } as const

export interface TestWorker {
  readonly id: NodeId
  /** What `mayStartEffects` answers. */
  healthy: boolean
}

export interface TestSession {
  readonly id: string
  /** Events that the client has seen, in order. */
  readonly events: LoggedEvent[]
  /** Text of each message as the client has put it together from its pieces. */
  readonly texts: Map<string, string>
  execute(task: Partial<Task> & { description: string }, commandId?: string): Promise<Task>
  control(type: 'stop' | 'pause' | 'resume' | 'cancel', taskId?: string): Promise<void>
  /** Tells the owner that an approval has been decided, as an edge does after it has. */
  announce(approvalId: string): Promise<void>
  /** The client goes: it sees nothing more. */
  unwatch(): Promise<void>
  /** The first event of a type that has been seen, or comes. */
  event<T extends LoggedEventType>(type: T, which?: number): Promise<Extract<LoggedEvent, { type: T }>>
  /** Waits until some text of the open message has been seen. */
  textBegins(): Promise<void>
}

export interface WorkerClusterOptions {
  /** Allows everything when left out. */
  readonly gate?: Gate
  readonly hooks?: ToolHooks
  readonly approvalTimeoutMs?: number
  /** Grants everything when left out. */
  readonly budgets?: Budgets
  readonly runtimeOf: (type: SessionType) => Runtime
  readonly maxSessions?: number
  /** Over Redis, at this address, instead of in this process. */
  readonly redisUrl?: string
  readonly drainTimeoutMs?: number
  readonly sessionTimeoutMs?: number
  /** Default 128,000. */
  readonly maxContextTokens?: number
  readonly maxUnprojected?: WorkerOptions['maxUnprojected']
  /** What the workers see of the bus; default all of it. */
  readonly workerBus?: (bus: Bus) => Bus
  /** Default: nothing hibernates while a test runs. */
  readonly hibernateAfterMs?: number
}

export class WorkerCluster {
  readonly #workers: Worker[] = []
  readonly #sessions = new Map<string, TestSession>()
  /** What became of the commands, in the order of their acceptance. */
  readonly acceptances: Acceptance[] = []
  readonly #assignments: ShardAssignments
  #outbox!: EdgeOutbox
  #leader: TestLeader | undefined
  #reopened = false

  private constructor(
    readonly bus: Bus,
    readonly database: Database,
    readonly root: string,
    private readonly options: WorkerClusterOptions,
    private readonly plane: RedisPlane | undefined,
    private readonly databaseUrl: string,
  ) {
    this.#assignments = new ShardAssignments(database)
  }

  /** Ends with the test. */
  static async start(options: WorkerClusterOptions): Promise<WorkerCluster> {
    const { database, url, remove } = await openServerDatabase()
    const root = await mkdtemp(join(tmpdir(), 'workers-'))
    const plane = options.redisUrl === undefined ? undefined : await openRedisPlane(options.redisUrl)
    const bus = plane ? await plane.openBus() : await createMemoryBus()
    const cluster = new WorkerCluster(bus, database, root, options, plane, url)
    onTestFinished(async () => {
      await cluster.#stop()
      await remove()
    })
    await cluster.#assignments.ensureShards(1)
    if (plane) cluster.#leader = await TestLeader.start(database, plane)
    cluster.#outbox = await cluster.bus.outboxes.open(newNodeId('edge'), {
      onEntries: (entries) => {
        for (const entry of entries) cluster.#see(entry)
      },
      onReopened: () => void cluster.#resumeAll(),
    })
    return cluster
  }

  /** Starts a worker and gives it the shard: whoever had it is fenced, as after a crash or a long silence. */
  async takeOver(name: string): Promise<TestWorker> {
    const worker: TestWorker = { id: newNodeId(name), healthy: true }
    await this.#start(worker, name, true)
    return worker
  }

  /** Starts a worker that owns nothing yet. */
  async join(name: string): Promise<TestWorker> {
    const worker: TestWorker = { id: newNodeId(name), healthy: true }
    await this.#start(worker, name, false)
    return worker
  }

  /** Moves the shard in the planned way. */
  async move(from: TestWorker, to: TestWorker): Promise<void> {
    const epoch = (await this.#assignment()).epoch
    await this.#leader?.move({ shard: SHARD, epoch, from: from.id, to: to.id })
  }

  /** Resolves when the shard belongs to this worker. */
  async owned(worker: TestWorker): Promise<void> {
    await vi.waitFor(async () => {
      const { owner } = await this.#assignment()
      if (owner !== worker.id) throw new Error(`the shard belongs to ${owner}`)
    }, PATIENCE)
  }

  async #start(worker: TestWorker, name: string, owns: boolean): Promise<void> {
    await new Nodes(this.database).register({ id: worker.id, name, role: 'worker', version: '1', capacity: 1 })
    if (owns) await this.assign(worker.id)
    const { redisUrl: _store, workerBus, runtimeOf, drainTimeoutMs, ...given } = this.options
    const running = testWorker({
      id: worker.id,
      bus: workerBus?.(this.bus) ?? this.bus,
      control: this.plane?.openControl(worker.id),
      database: this.database,
      root: join(this.root, name),
      mayStartEffects: () => worker.healthy,
      runtimeOf,
      options: {
        ...given,
        ...(drainTimeoutMs !== undefined && { drainTimeoutMs, hasSuccessor: () => true }),
      },
    })
    this.#workers.push(running)
    await running.start()
  }

  /** Gives the shard to a worker that runs as a process of its own. */
  async enlist(name: string): Promise<NodeId> {
    const id = newNodeId(name)
    await new Nodes(this.database).register({ id, name, role: 'worker', version: '1', capacity: 1 })
    await this.assign(id)
    return id
  }

  /** Where such a process finds the stores. */
  get stores(): { readonly cluster: string; readonly databaseUrl: string } {
    if (!this.plane) throw new Error('this cluster lives in one process')
    return { cluster: this.plane.cluster, databaseUrl: this.databaseUrl }
  }

  async #assignment(): Promise<Assignment> {
    const [current] = await this.#assignments.list()
    if (!current) throw new Error('the shard is missing')
    return current
  }

  async assign(owner: NodeId): Promise<void> {
    const { epoch } = await this.#assignment()
    await this.#assignments.assign([{ shard: SHARD, expectedEpoch: epoch, owner }], undefined)
  }

  /** Resolves when PostgreSQL has a session's events up to this number. */
  async projected(session: TestSession, seq: number): Promise<void> {
    await vi.waitFor(async () => {
      const last = await new Events(this.database).last(session.id)
      if ((last?.seq ?? 0) < seq) throw new Error(`PostgreSQL has ${last?.seq} events`)
    }, PATIENCE)
  }

  /** Declares a node dead and tells the others, as the leader does. */
  async bury(node: NodeId): Promise<void> {
    await new Nodes(this.database).setStatus(node, 'dead')
  }

  /** Notes that a node has left in an orderly way, as its membership does. */
  async leave(node: NodeId): Promise<void> {
    await new Nodes(this.database).setStatus(node, 'left')
  }

  /** Stops the first worker in order, as SIGTERM does. */
  async drainFirst(): Promise<void> {
    await this.#workers[0]?.stop()
  }

  get workspaces() {
    const workspaces = new Workspaces(this.database)
    return {
      save: workspaces.save.bind(workspaces),
      load: workspaces.load.bind(workspaces),
      hashes: workspaces.listHashes.bind(workspaces),
    }
  }

  async spawn(
    type: SessionType,
    task: Partial<Task> & { description: string },
    options?: SessionOptions,
  ): Promise<TestSession> {
    const id = newSessionId(SHARD)
    const session = this.#session(id)
    const command: Command = {
      type: 'spawn',
      id,
      orchestratorId: 'test',
      sessionType: type,
      ...(options && { options }),
      task: taskOf(task),
      createdAt: new Date().toISOString(),
    }
    const spawn = JSON.stringify(command)
    const row = { id, shard: SHARD, tenant: TENANT, orchestratorId: 'test', type, bodyHash: 'hash', spawn }
    await new Sessions(this.database).reserve(row)
    await this.#submit(id, command, true)
    return session
  }

  #session(id: string): TestSession {
    const session: TestSession = {
      id,
      events: [],
      texts: new Map(),
      execute: async (input, commandId = newCommandId()) => {
        const task = taskOf(input)
        await this.#submit(id, { type: 'execute', id: commandId, task }, false)
        return task
      },
      control: async (type, taskId) => {
        await this.#submit(id, { type, id: newCommandId(), ...(taskId !== undefined && { taskId }) }, false)
      },
      announce: (approvalId) => this.#submit(id, { type: 'approval', id: newCommandId(), approvalId }, false),
      unwatch: () => this.bus.log.unsubscribe(id, this.#outbox.name),
      event: async (type, which = 0) => {
        const found = () => session.events.filter((event) => event.type === type)[which]
        const seen = () => session.events.map((event) => event.type).join(' ')
        await vi.waitFor(() => {
          if (!found()) throw new Error(`no ${type} among: ${seen()}`)
        }, PATIENCE)
        return found() as never
      },
      textBegins: () =>
        vi.waitFor(() => {
          if (![...session.texts.values()].some((text) => text.length > 0)) throw new Error('no text yet')
        }, PATIENCE),
    }
    this.#sessions.set(id, session)
    return session
  }

  async #submit(sessionId: string, command: Command, fresh: boolean): Promise<void> {
    const route = { sessionId, commandId: command.id, type: command.type, tenant: TENANT, fresh }
    const submission = { ...route, outbox: this.#outbox.name, body: JSON.stringify(command) }
    // A store that fails over does not answer, or is not whole yet.
    await vi.waitFor(async () => {
      const { status } = await this.bus.commands.submit(submission)
      if (status !== 'ok') throw new Error(`a command was answered ${status}`)
    }, PATIENCE)
  }

  /** Plays the client: a gap, a repetition or a piece at the wrong place fails the test. */
  #see(entry: OutEntry): void {
    if (entry.kind === 'acceptances') {
      this.acceptances.push(...entry.acceptances)
      return
    }
    if (entry.kind === 'awake') return
    const session = this.#sessions.get(entry.sessionId)
    if (!session) return
    if (entry.kind === 'events') {
      this.#hear(session, entry.events)
      return
    }
    const before = session.texts.get(entry.messageId) ?? ''
    if (this.#reopened && Buffer.byteLength(before) >= entry.offset + entry.bytes) return
    if (Buffer.byteLength(before) !== entry.offset) throw new Error(`text at ${entry.offset} after ${before.length}`)
    const { data } = JSON.parse(entry.json) as { data: { chunk: string } }
    session.texts.set(entry.messageId, before + data.chunk)
  }

  /** After a store has failed over the client hears some things again. */
  #hear(session: TestSession, events: readonly StoredEvent[]): void {
    const heard = seqOf(session.events.at(-1)?.eventId)
    for (const { eventId, body } of events) {
      if (!this.#reopened || seqOf(eventId) > heard) session.events.push(JSON.parse(body) as LoggedEvent)
    }
  }

  async #resumeAll(): Promise<void> {
    this.#reopened = true
    await Promise.all([...this.#sessions.values()].map((session) => this.#resume(session)))
  }

  /** As an edge does; until the store has what the client has seen. */
  async #resume(session: TestSession): Promise<void> {
    await vi.waitFor(async () => {
      const last = session.events.at(-1)?.eventId ?? LOG_START
      const resumed = await this.bus.log.resume(session.id, this.#outbox.name, last, 1_000)
      if (resumed.status !== 'ok') throw new Error(`a session could not be resumed: ${resumed.status}`)
      this.#hear(session, resumed.events)
      const { part } = resumed
      if (part && part.text.length > (session.texts.get(part.messageId) ?? '').length)
        session.texts.set(part.messageId, part.text)
    }, PATIENCE)
  }

  async #stop(): Promise<void> {
    for (const worker of this.#workers) await worker.stop()
    await this.#leader?.stop()
    await this.#outbox.stop()
    await this.bus.stop()
    this.plane?.close()
    await rm(this.root, { recursive: true, force: true })
  }
}

const seqOf = (eventId: string | undefined): number => parseEventId(eventId ?? '')?.seq ?? 0

const taskOf = (input: Partial<Task> & { description: string }): Task => ({
  ...newTask({ type: 'general', priority: 'medium', description: input.description }, new Date()),
  id: newTaskId(),
  ...input,
})
