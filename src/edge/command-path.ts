/**
 * What stands behind the door: the way of a message to the command streams, and of what happens back to who watches.
 *
 *   dispatch → submissions ⇒ shard's command stream
 *   edge's outbox ⇒ event-reader → subscriptions
 */
import { HYDRATE, type Outbox, type Submission, type SubmissionRequest } from '../bus/command.js'
import type { NodeId, SessionId } from '../protocol/ids.js'
import type { EdgeMetrics } from '../telemetry/metrics.js'
import type { Client } from './client.js'
import type { EdgeDependencies } from './dependencies.js'
import { Dispatch, type DispatchDependencies } from './dispatch.js'
import { EventReader } from './event-reader.js'
import { Queries } from './queries.js'
import { Routing } from './routing.js'
import { SessionDirectory } from './session-directory.js'
import { SessionPlacement } from './session-placement.js'
import { Spawn } from './spawn.js'
import { Submissions } from './submissions.js'
import { Subscriptions } from './subscriptions.js'
import { TaskQueue } from './task-queue.js'

export interface CommandPathOptions extends Pick<DispatchDependencies, 'authenticator' | 'onDenied' | 'onRenewed'> {
  readonly deps: EdgeDependencies
  readonly metrics: EdgeMetrics
}

export class CommandPath {
  readonly directory: SessionDirectory
  readonly subscriptions: Subscriptions
  readonly dispatch: Dispatch
  readonly #deps: EdgeDependencies
  readonly #submissions: Submissions
  readonly #reader: EventReader
  readonly #routing: Routing

  constructor({ deps, metrics, ...heard }: CommandPathOptions) {
    const { settings, bus, sessions, events, view, approvals, log: trace, tracing } = deps
    const directory = new SessionDirectory(bus.log, sessions)
    const placement = new SessionPlacement(view, settings.placement)
    const snapshot = directory.snapshot.bind(directory)
    const wake = (sessionId: SessionId, outbox: Outbox) => bus.commands.submit(wakeUp(sessionId, outbox))
    const subscriptions = new Subscriptions({ log: bus.log, events, snapshot, wake, trace })
    const submissions = new Submissions({
      commands: bus.commands,
      intactAt: () => this.#reader.intactAt,
      ...{ trace, tracing, metrics },
      onAccepted: (submission, status) => {
        if (submission.type === 'spawn') this.#spawned(submission, status)
      },
    })
    this.#deps = deps
    this.directory = directory
    this.subscriptions = subscriptions
    this.#submissions = submissions
    this.#routing = new Routing({ placement, view, federation: deps.federation })
    this.#reader = new EventReader(bus.outboxes, submissions, subscriptions, tracing)
    this.dispatch = new Dispatch({
      ...{ ...heard, directory, subscriptions, submissions, approvals, audit: deps.audit, trace, tracing },
      spawn: new Spawn({ sessions, directory, placement, subscriptions, submissions }),
      queries: new Queries({ settings, sessions, approvals, directory, view, status: deps.status }),
      routing: this.#routing,
      tasks: new TaskQueue({ scheduling: deps.scheduling, directory, sessions, log: bus.log, trace }),
    })
  }

  async start(edge: NodeId): Promise<void> {
    const outbox = await this.#reader.start(edge)
    this.subscriptions.start(outbox)
    this.#submissions.start(outbox)
  }

  /** May be called twice. */
  async stop(): Promise<void> {
    this.#routing.stop()
    this.#submissions.stop()
    this.subscriptions.stop()
    await this.#reader.stop()
  }

  /** Commands that no worker has accepted yet. */
  get waiting(): number {
    return this.#submissions.waiting
  }

  /** Brings a command of this process to its worker. Resolves with the frame that a client would get. Never rejects. */
  bring(command: Omit<SubmissionRequest, 'fresh'>, traceparent?: string): Promise<string> {
    return new Promise((resolve) => {
      const client = { pendingCommands: 0, push: resolve }
      this.#submissions.submit(
        { ...command, fresh: false },
        { client, requestId: undefined, commandId: command.commandId, traceparent },
      )
    })
  }

  /** The client has gone. */
  forget(client: Client): void {
    this.subscriptions.forget(client)
    this.#submissions.forget(client)
    this.#routing.forget(client)
  }

  #spawned({ sessionId, tenant }: SubmissionRequest, status: 'new' | 'dup'): void {
    this.subscriptions.spawned(sessionId, status)
    if (status === 'new') this.#deps.onSpawned?.(sessionId, tenant)
    this.#deps.sessions.markSubmitted(sessionId).catch((error: unknown) => {
      // The projection marks the row too; until then a worker may find it and meet a duplicate.
      this.#deps.log.warn({ err: error, sessionId }, 'a spawn could not be marked as submitted')
    })
  }
}

/** The question for a session, as a command that nobody has to be allowed beyond watching. */
const wakeUp = (sessionId: SessionId, outbox: Outbox): Submission => ({
  ...{ sessionId, outbox, commandId: HYDRATE, type: HYDRATE, tenant: '-', fresh: false, body: '{}' },
})
