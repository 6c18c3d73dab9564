/**
 * `orchestrator-daemon spawn "task"`: starts a session and shows it until its task has ended, or schedules one.
 */
import type { Client } from '../client/client.js'
import { type ConnectionFlags, explained, findDaemon, openClient } from './connection.js'
import { EXIT } from './exit.js'
import { isTaskEnd, LiveView } from './live-view.js'
import { Output } from './output.js'
import { type Request, type RequestFlags, requestOf } from './spawn-request.js'

export interface SpawnFlags extends ConnectionFlags, RequestFlags {
  readonly detach?: true
  readonly json?: true
}

export async function spawn(task: string, flags: SpawnFlags): Promise<void> {
  const asked = requestOf(task, flags)
  const output = new Output()
  const view = new LiveView(output, flags.json === true)
  const address = findDaemon(flags)
  const client = await openClient(address, view.onConnection)
  try {
    if (asked.kind === 'schedule') await schedule(client, asked, flags, output)
    else if (flags.detach) await start(client, asked, flags, output)
    else await follow(client, asked, view)
  } catch (error) {
    throw explained(error, address.url)
  } finally {
    client.close()
  }
}

type Of<Kind extends Request['kind']> = Extract<Request, { kind: Kind }>

async function schedule(client: Client, { request }: Of<'schedule'>, { json }: SpawnFlags, output: Output) {
  const scheduled = await client.schedule(request)
  if (json) return output.json(scheduled)
  output.line(scheduled.scheduleId)
  const when = scheduled.nextRunAt === null ? 'after what it waits for' : `at ${scheduled.nextRunAt}`
  output.note(`task ${scheduled.taskId} runs ${when}; see \`orchestrator-daemon tasks\``)
}

async function start(client: Client, { request }: Of<'spawn'>, { json }: SpawnFlags, output: Output) {
  const { id: sessionId } = await client.spawn(request)
  if (json) output.json({ sessionId })
  else output.line(sessionId)
}

async function follow(client: Client, { request }: Of<'spawn'>, view: LiveView): Promise<void> {
  const session = await client.spawn(request)
  view.onSignal(() => view.note(`the session goes on; see it with \`orchestrator-daemon attach ${session.id}\``))
  const end = await view.follow(session, isTaskEnd)
  if (end?.type !== 'task_completed') process.exitCode = EXIT.failed
}
