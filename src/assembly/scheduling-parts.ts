/**
 * Fits storage and the node's own door to what scheduling asks for.
 */
import type { ControlCommand, ExecuteCommand, SubmissionRequest } from '../bus/command.js'
import type { Config } from '../config/load.js'
import type { Principal } from '../edge/auth.js'
import type { NodeId } from '../protocol/ids.js'
import type { CommandAccepted, ErrorReply } from '../protocol/replies.js'
import type { Brought, TaskDoor } from '../scheduling/due-task.js'
import type { SpawnRequest } from '../scheduling/request.js'
import { LEASE_MS } from '../scheduling/scheduler.js'
import { Scheduling } from '../scheduling/scheduling.js'
import type { Database } from '../storage/database.js'
import { ScheduleEntries } from '../storage/schedule-entries.js'
import { type ScheduledRow, ScheduledTasks } from '../storage/scheduled-tasks.js'
import { TaskDependencies } from '../storage/task-dependencies.js'
import type { Log } from '../telemetry/log.js'
import type { Tracing } from '../telemetry/tracing.js'
import type { Entrance, Inside } from './in-process-socket.js'

/** The service has said that it did not take the command, and never will; all other failures leave that open. */
const FINAL = ['session_not_running', 'session_not_found', 'idempotency_conflict', 'invalid_payload', 'forbidden']
/** Shorter than the lease, so that no other node hands the same task over meanwhile. */
const ANSWER_MS = LEASE_MS - 2_000
const UNSURE: Brought = { status: 'unsure' }

/** The side of the edge that takes commands of its own process. */
export interface CommandDoor<I extends Inside> extends Entrance<I> {
  /** At this place of a trace. */
  bring(command: Omit<SubmissionRequest, 'fresh'>, traceparent?: string): Promise<string>
}

export interface SchedulingFitting<I extends Inside> {
  /** As they stand now. */
  readonly settings: Pick<Config, 'scheduling'>
  readonly node: NodeId
  readonly log: Log
  readonly database: Database
  readonly tracing: Tracing | undefined
  /** Asked once the door is open. */
  readonly door: () => CommandDoor<I>
}

export function schedulingOf<I extends Inside>({
  settings,
  node,
  log,
  database,
  tracing,
  door,
}: SchedulingFitting<I>): Scheduling {
  return new Scheduling({
    id: node,
    tasks: new ScheduledTasks(database),
    dependencies: new TaskDependencies(database),
    entries: new ScheduleEntries(database),
    door: new OwnDoor(door),
    tracing,
    log,
    get maxWaiting() {
      return settings.scheduling.maxWaiting
    },
    get minIntervalMs() {
      return settings.scheduling.minIntervalMs
    },
  })
}

class OwnDoor<I extends Inside> implements TaskDoor {
  constructor(private readonly door: () => CommandDoor<I>) {}

  execute(row: ScheduledRow, sessionId: string, command: ExecuteCommand): Promise<Brought> {
    return this.#bring(row, sessionId, command)
  }

  cancel(row: ScheduledRow, sessionId: string, taskId: string, id: string): Promise<Brought> {
    return this.#bring(row, sessionId, { id, type: 'cancel', taskId })
  }

  spawn({ tenant, owner }: ScheduledRow, request: SpawnRequest, id: string, traceparent?: string): Promise<Brought> {
    const { kind: _kind, ...payload } = request
    const frame = { type: 'spawn_session', commandId: id, payload: { ...payload, idempotencyKey: id }, traceparent }
    // May do everything in the tenant: whoever asked was allowed to. What it spawns belongs to the one who asked.
    const principal: Principal = { tenant, subject: owner, role: 'admin', expiresAt: undefined }
    return ask(this.door(), principal, JSON.stringify(frame))
  }

  #bring({ tenant }: ScheduledRow, sessionId: string, command: ExecuteCommand | ControlCommand): Promise<Brought> {
    const { id: commandId, type } = command
    const submission = { sessionId, commandId, type, tenant, body: JSON.stringify(command) }
    return inTime(
      this.door()
        .bring(submission, command.traceparent)
        .then((frame) => answerOf(frame) ?? UNSURE),
    )
  }
}

/** Sends one frame through a connection of its own, and takes the answer to it; the connection is left in any case. */
function ask<I extends Inside>(entrance: Entrance<I>, principal: Principal, frame: string): Promise<Brought> {
  return new Promise((resolve) => {
    const settle = (brought: Brought | undefined): void => {
      if (!brought) return
      clearTimeout(late)
      resolve(brought)
      // Later: the frame is being sent by the very connection that is left.
      queueMicrotask(() => entrance.leave(inside))
    }
    const gone = (): void => settle(UNSURE)
    const late = setTimeout(gone, ANSWER_MS)
    const inside = entrance.enter(
      {
        send: (answer) => settle(answerOf(answer)),
        cork: (work) => work(),
        bufferedBytes: () => 0,
        ping: () => undefined,
        end: gone,
        terminate: gone,
      },
      principal,
    )
    inside.receive(frame)
  })
}

/** Undefined for frames that answer nothing: events of the session that was spawned. */
function answerOf(frame: string): Brought | undefined {
  const answer = JSON.parse(frame) as CommandAccepted | ErrorReply | { readonly type: 'other' }
  if (answer.type === 'command_accepted') return { status: 'accepted', sessionId: answer.sessionId }
  if (answer.type !== 'error') return undefined
  const { code, error } = answer
  return FINAL.includes(code) ? { status: 'refused', code, error } : UNSURE
}

function inTime(answer: Promise<Brought>): Promise<Brought> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(resolve, ANSWER_MS, UNSURE)
    answer.then(resolve, reject).finally(() => clearTimeout(late))
  })
}
