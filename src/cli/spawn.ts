/**
 * `orchestrator-daemon spawn "task"`: starts a session and shows it until its task has ended.
 */
import type { SpawnRequest } from '../client/client.js'
import { SESSION_TYPES } from '../protocol/session.js'
import { type ConnectionFlags, explained, findDaemon, openClient } from './connection.js'
import { CommandFailure, EXIT } from './exit.js'
import { isTaskEnd, LiveView } from './live-view.js'
import { Output } from './output.js'

export interface SpawnFlags extends ConnectionFlags {
  readonly type?: string
  readonly orchestrator?: string
  readonly detach?: true
  readonly idempotencyKey?: string
  readonly json?: true
}

export async function spawn(task: string, flags: SpawnFlags): Promise<void> {
  const request = requestOf(task, flags)
  const output = new Output()
  const view = new LiveView(output, flags.json === true)
  const address = findDaemon(flags)
  const client = await openClient(address, view.onConnection)
  try {
    const session = await client.spawn(request)
    if (flags.detach) {
      if (flags.json) output.json({ sessionId: session.id })
      else output.line(session.id)
      return
    }
    view.onSignal(() => view.note(`the session goes on; see it with \`orchestrator-daemon attach ${session.id}\``))
    const end = await view.follow(session, isTaskEnd)
    if (end?.type !== 'task_completed') process.exitCode = EXIT.failed
  } catch (error) {
    throw explained(error, address.url)
  } finally {
    client.close()
  }
}

function requestOf(task: string, { type, orchestrator, idempotencyKey }: SpawnFlags): SpawnRequest {
  if (task.trim() === '') throw new CommandFailure('the task is empty; say what is to be done, as one argument')
  const sessionType = SESSION_TYPES.find((each) => each === type)
  if (type !== undefined && sessionType === undefined) {
    throw new CommandFailure(`--type must be one of ${SESSION_TYPES.join(', ')}, not "${type}"`)
  }
  return {
    task,
    ...(sessionType !== undefined && { sessionType }),
    ...(orchestrator !== undefined && { orchestratorId: orchestrator }),
    ...(idempotencyKey !== undefined && { idempotencyKey }),
  }
}
