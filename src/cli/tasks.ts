/**
 * `orchestrator-daemon tasks`: what waits for what, since when, and in which place. `tasks cancel` ends a scheduled task.
 */
import type { Client } from '../client/client.js'
import type { QueuedTask, WaitingFor } from '../protocol/schedule.js'
import { type ConnectionFlags, findDaemon, openClient } from './connection.js'
import { duration, Output, shortened, table } from './output.js'

export interface TasksFlags extends ConnectionFlags {
  readonly session?: string
  readonly state: 'waiting' | 'over' | 'all'
  readonly limit: number
  readonly json?: true
}

/** The largest page that a daemon gives. */
const PAGE = 200
const TASK_CHARS = 40

export async function tasks(flags: TasksFlags): Promise<void> {
  const client = await openClient(findDaemon(flags))
  const found = await collect(client, flags).finally(() => client.close())
  const output = new Output()
  if (flags.json) output.json(found)
  else for (const line of listOf(found, new Date(), output)) output.line(line)
}

export async function cancelTask(scheduleId: string, flags: ConnectionFlags & { readonly json?: true }): Promise<void> {
  const client = await openClient(findDaemon(flags))
  const cancelled = await client.cancelScheduled(scheduleId).finally(() => client.close())
  const output = new Output()
  if (flags.json) output.json(cancelled)
  else output.line(`cancelled ${cancelled.taskId} (${scheduleId})`)
}

async function collect(client: Client, { session, state, limit }: TasksFlags): Promise<QueuedTask[]> {
  const found: QueuedTask[] = []
  let cursor: string | undefined
  do {
    const page = await client.tasks({
      ...{ state, limit: Math.min(PAGE, limit) },
      ...(session !== undefined && { sessionId: session }),
      ...(cursor !== undefined && { cursor }),
    })
    found.push(...page.tasks)
    cursor = page.cursor
  } while (cursor !== undefined && found.length < limit)
  return found.slice(0, limit)
}

/** The table, with its heading dimmed. */
export function listOf(found: readonly QueuedTask[], now: Date, { colours }: Pick<Output, 'colours'>): string[] {
  if (found.length === 0) return ['no tasks']
  const rows = found.map((task) => [
    task.position === 0 ? '-' : String(task.position),
    task.state,
    task.priority,
    waitingFor(task, now),
    duration(now.getTime() - Date.parse(task.since)),
    'scheduleId' in task ? task.scheduleId : task.sessionId,
    shortened(`${task.taskId}: ${task.description}`, TASK_CHARS),
  ])
  const [heading = '', ...lines] = table([['PLACE', 'STATE', 'PRIORITY', 'WAITS FOR', 'SINCE', 'ID', 'TASK'], ...rows])
  return [colours.dim(heading), ...lines]
}

const waitingFor = (task: QueuedTask, now: Date): string =>
  task.waitingFor.map((each) => wordsOf(each, now)).join(', ') || ('error' in task && task.error ? task.error : '-')

function wordsOf(each: WaitingFor, now: Date): string {
  switch (each.kind) {
    case 'time':
      return `its time, in ${duration(Date.parse(each.at) - now.getTime())}`
    case 'task':
      return `task ${shortened(each.taskId, TASK_CHARS)}`
    case 'turn':
      return 'its turn'
    case 'resume':
      return 'its session, which is paused'
  }
}
