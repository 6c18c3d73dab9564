/**
 * Scheduling over a real database, with sessions that are rows and a door that notes what is brought to them.
 */
import type { ExecuteCommand } from '../../src/bus/command.js'
import { newSessionId } from '../../src/protocol/ids.js'
import type { Brought, TaskDoor } from '../../src/scheduling/due-task.js'
import type { SpawnRequest } from '../../src/scheduling/request.js'
import { Scheduling } from '../../src/scheduling/scheduling.js'
import type { Database } from '../../src/storage/database.js'
import { Projection } from '../../src/storage/projection.js'
import { ScheduleEntries } from '../../src/storage/schedule-entries.js'
import { type ScheduledRow, ScheduledTasks } from '../../src/storage/scheduled-tasks.js'
import { Sessions } from '../../src/storage/sessions.js'
import { TaskDependencies } from '../../src/storage/task-dependencies.js'

/** Everything that came through the door, once for each command id, as a worker takes it. */
export class NotingDoor implements TaskDoor {
  readonly commands: ExecuteCommand[] = []
  readonly spawned: (SpawnRequest & { readonly id: string })[] = []
  readonly cancelled: string[] = []
  /** Calls, repeated ones too. */
  calls = 0
  /** What is answered instead of taking the command; or, after taking it, when `takenBefore` is set. */
  answer: Brought | undefined
  takenBefore = false
  readonly #seen = new Set<string>()

  execute(_row: ScheduledRow, sessionId: string, command: ExecuteCommand): Promise<Brought> {
    return this.#take(command.id, sessionId, () => this.commands.push(command))
  }

  spawn(row: ScheduledRow, request: SpawnRequest, id: string): Promise<Brought> {
    return this.#take(id, `session of ${row.id}`, () => this.spawned.push({ ...request, id }))
  }

  cancel(_row: ScheduledRow, sessionId: string, taskId: string, id: string): Promise<Brought> {
    return this.#take(id, sessionId, () => this.cancelled.push(taskId))
  }

  async #take(id: string, sessionId: string, take: () => void): Promise<Brought> {
    this.calls += 1
    if (this.answer && !this.takenBefore) return this.answer
    if (!this.#seen.has(id)) take()
    this.#seen.add(id)
    return this.answer ?? { status: 'accepted', sessionId }
  }
}

export const silent = { info: () => undefined, warn: () => undefined }

/** The service on one node; several share a database and, as they do a cluster, a door. */
export function schedulingNode(database: Database, door: TaskDoor, id = 'node@1', limits = {}): Scheduling {
  return new Scheduling({
    id,
    tasks: new ScheduledTasks(database),
    dependencies: new TaskDependencies(database),
    entries: new ScheduleEntries(database),
    door,
    log: silent,
    maxWaiting: 100,
    minIntervalMs: 1_000,
    ...limits,
  })
}

export const holder = (tenant: string, subject = tenant, seesTenant = false) => ({ tenant, subject, seesTenant })

const SHARD = 1

/** A session's row, and how its worker projects ends of its tasks. */
export async function session(database: Database, tenant: string, owner = tenant) {
  const id = newSessionId(SHARD)
  await new Sessions(database).reserve({
    ...{ id, shard: SHARD, tenant, owner, orchestratorId: 'o', type: 'echo', bodyHash: 'x', spawn: '{}' },
  })
  let seq = 0
  const project = (type: string, body: object) => {
    seq += 1
    const at = new Date().toISOString()
    const full = JSON.stringify({ type, eventId: `1-${seq}`, sessionId: id, timestamp: at, ...body })
    const event = { sessionId: id, epoch: 1, seq, type, at, body: full }
    return new Projection(database).project([{ shard: SHARD, epoch: 1, events: [event], sessions: [] }])
  }
  const usage = { promptTokens: 0, completionTokens: 0, cost: 0, duration: 0 }
  const begins = (taskId: string, turn: number) =>
    project('task_executing', { taskId, turn, task: { id: taskId, description: 'x' } })
  const ends = (taskId: string, how: 'completed' | 'failed' | 'cancelled') =>
    project(`task_${how}`, { taskId, error: 'no', code: 'internal', reason: 'no', result: { output: '' }, usage })
  return { id, begins, ends }
}
