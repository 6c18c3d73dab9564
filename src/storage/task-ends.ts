/**
 * How a task ended, long after everybody who watched it has gone.
 */
import { sql } from 'kysely'
import type { TaskCancelled, TaskCompleted, TaskFailed } from '../protocol/events.js'
import type { SessionId } from '../protocol/ids.js'
import type { Database } from './database.js'

/** The event that ended a task. */
export type TaskEnd = TaskCompleted | TaskFailed | TaskCancelled

/** Ends of tasks that one session may have had since; further back nobody looks. */
const MAX_ENDS_READ = 1_000

export class TaskEnds {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Undefined while the task runs, and until the projection has come so far. */
  async find(sessionId: SessionId, taskId: string): Promise<TaskEnd | undefined> {
    // Index events_pkey. The text is read here, not by the database, which refuses to look into some JSON.
    const { rows } = await sql<{ body: string }>`
      select body::text as body from events
      where session_id = ${sessionId} and type in ('task_completed', 'task_failed', 'task_cancelled')
      order by epoch desc, seq desc limit ${MAX_ENDS_READ}`.execute(this.#database.sql)
    return rows.map(({ body }) => JSON.parse(body) as TaskEnd).find((end) => end.taskId === taskId)
  }
}
