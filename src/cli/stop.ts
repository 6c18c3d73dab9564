/**
 * `orchestrator-daemon stop`: ends a session, or the daemon that was started on this machine.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ClientError, type SessionHandle } from '../client/client.js'
import { commandSettings } from './command-settings.js'
import { type ConnectionFlags, explained, findDaemon, openClient } from './connection.js'
import { EXIT } from './exit.js'
import { duration, Output } from './output.js'
import { type FoundNode, isRunning, type ProcessName, pidFolder, runningNode, runningNodes } from './pid-files.js'

export interface StopFlags extends ConnectionFlags {
  readonly role?: string
  readonly name?: string
  readonly pidFile?: string
  /** How long to wait for the end, in ms. */
  readonly timeout?: number
  /** Kills it at once. */
  readonly force?: true
  readonly json?: true
}

/** A daemon drains its clients and gives its shards away in this time; one that does not hangs. */
export const STOP_TIMEOUT_MS = 15_000
const LOOK_EVERY_MS = 50

export const stop = (sessionId: string | undefined, flags: StopFlags): Promise<void> =>
  sessionId === undefined ? stopDaemon(flags) : stopSession(sessionId, flags)

const timeoutOf = ({ timeout }: StopFlags): number => timeout ?? STOP_TIMEOUT_MS

async function stopSession(id: string, flags: StopFlags): Promise<void> {
  const output = new Output()
  const address = findDaemon(flags)
  const client = await openClient(address)
  try {
    const session = await client.attach(id)
    await session.stop()
    await untilEnded(session, timeoutOf(flags))
    if (flags.json) output.json({ sessionId: id, stopped: true })
    else output.line(`session ${id} is stopped`)
  } catch (error) {
    if (!(error instanceof ClientError) || error.code !== 'session_not_running') throw explained(error, address.url)
    if (flags.json) output.json({ sessionId: id, stopped: false })
    else output.line(`session ${id} has ended before`)
  } finally {
    client.close()
  }
}

/** The command is accepted at once, and the session ends when its worker has come to it. */
async function untilEnded(session: SessionHandle, timeoutMs: number): Promise<void> {
  const late = setTimeout(() => session.close(), timeoutMs)
  const messages = session[Symbol.asyncIterator]()
  while (!(await messages.next()).done);
  clearTimeout(late)
}

async function stopDaemon(flags: StopFlags): Promise<void> {
  const output = new Output()
  const nodes = findNodes(flags)
  const ended = await Promise.all(nodes.map((node) => end(node, flags, output)))
  if (ended.some(({ killed }) => killed)) process.exitCode = EXIT.failed
  if (flags.json) output.json({ stopped: ended })
  else if (ended.length === 0) output.line('no daemon of these settings runs on this machine')
}

/** Daemons that run on this machine and are meant. */
export function findNodes(flags: StopFlags): FoundNode[] {
  if (flags.pidFile !== undefined) {
    const node = runningNode(flags.pidFile)
    return node ? [node] : []
  }
  return runningNodes(pidFolder()).filter(matcherOf(flags))
}

/** A daemon with clients is known by its port, another one by its role and name. Settings fill what no option says. */
export function matcherOf(flags: StopFlags): (node: FoundNode) => boolean {
  const { config, role: asked, name: called, port: given } = flags
  const { server } = commandSettings({ config })
  const role = asked ?? server.role
  const port = given ?? server.port
  const byPort = (role === 'all' || role === 'edge') && called === undefined && port !== 0
  if (byPort) return (node) => node.port === port && (asked === undefined || node.role === role)
  const name = called ?? server.name
  return (node) => node.role === role && node.name === name && (given === undefined || node.port === given)
}

interface Ended {
  readonly pid: number
  readonly killed: boolean
}

async function end(node: FoundNode, flags: StopFlags, output: Output): Promise<Ended> {
  const { pid, role, name } = node
  const timeoutMs = timeoutOf(flags)
  const called = `${name} (${role}, pid ${pid})`
  if (flags.force) {
    kill(node)
    if (!flags.json) output.line(`${called} was killed`)
    return { pid, killed: false }
  }
  output.step(`asking ${called} to stop`)
  signal(node, 'SIGTERM')
  const killed = !(await isGone(node, timeoutMs))
  if (killed) kill(node)
  if (!flags.json) {
    output.line(
      killed ? `${called} did not stop within ${duration(timeoutMs)} and was killed` : `${called} has stopped`,
    )
  }
  return { pid, killed }
}

/** First who would start it again. */
function kill(node: FoundNode): void {
  if (node.supervisor) signal(node.supervisor, 'SIGKILL')
  signal(node, 'SIGKILL')
}

// Looked at again right before: the process may have ended, and its pid may be somebody else's by now.
function signal(target: ProcessName, name: NodeJS.Signals): void {
  if (isRunning(target)) process.kill(target.pid, name)
}

async function isGone(node: FoundNode, timeoutMs: number): Promise<boolean> {
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; ) {
    if (!isRunning(node)) return true
    await sleep(LOOK_EVERY_MS)
  }
  return false
}
