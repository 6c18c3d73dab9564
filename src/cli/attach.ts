/**
 * `orchestrator-daemon attach <session>`: shows what a session has done and goes on doing. On a terminal, lines that are
 * typed become its next tasks.
 */
import { createInterface } from 'node:readline'
import { type Client, ClientError, FROM_START, type SessionHandle } from '../client/client.js'
import type { Position } from '../protocol/commands.js'
import { eventIdSchema } from '../protocol/ids.js'
import { isTerminal } from '../protocol/session.js'
import { type ConnectionFlags, explained, findDaemon, openClient } from './connection.js'
import { CommandFailure } from './exit.js'
import { LiveView } from './live-view.js'
import { Output } from './output.js'

export interface AttachFlags extends ConnectionFlags {
  readonly from: string
  readonly json?: true
}

/** A session that has ended says nothing new: this long after its last message, all of it is there. */
const END_OF_REPLAY_MS = 2_000

export async function attach(sessionId: string, flags: AttachFlags): Promise<void> {
  const from = positionOf(flags.from)
  const view = new LiveView(new Output(), flags.json === true)
  const address = findDaemon(flags)
  const client = await openClient(address, view.onConnection)
  try {
    await watch(client, sessionId, from, view)
  } catch (error) {
    throw explained(error, address.url)
  } finally {
    client.close()
  }
}

/** Undefined: from now on. */
function positionOf(text: string): Position | undefined {
  if (text === 'start') return FROM_START
  if (text === 'now') return undefined
  if (eventIdSchema.safeParse(text).success) return { eventId: text }
  throw new CommandFailure(`--from must be start, now or the id of an event such as 7-42, not "${text}"`)
}

async function watch(client: Client, id: string, from: Position | undefined, view: LiveView): Promise<void> {
  const { status } = await client.status(id)
  if (isTerminal(status) && from === undefined) return view.note(`the session has ended (${status})`)
  const session = await client.attach(id, from)
  view.onSignal(() => view.note(`the session goes on; see it with \`orchestrator-daemon attach ${id}\``))
  const input = process.stdin.isTTY ? readTasks(session, view) : undefined
  const patience = isTerminal(status) ? new Patience(session) : undefined
  await view.follow(session, () => patience?.heard() ?? false)
  patience?.end()
  input?.close()
}

/** Ends the view of a finished session whose last event stands before the position that was asked for. */
class Patience {
  #timer: ReturnType<typeof setTimeout>

  constructor(private readonly session: SessionHandle) {
    this.#timer = this.#wait()
  }

  heard(): false {
    clearTimeout(this.#timer)
    this.#timer = this.#wait()
    return false
  }

  end(): void {
    clearTimeout(this.#timer)
  }

  #wait(): ReturnType<typeof setTimeout> {
    return setTimeout(() => this.session.close(), END_OF_REPLAY_MS)
  }
}

const ACTIONS: Readonly<Record<string, (session: SessionHandle) => Promise<unknown> | undefined>> = {
  '/stop': (session) => session.stop(),
  '/cancel': (session) => session.cancel(),
  '/pause': (session) => session.pause(),
  '/resume': (session) => session.resume(),
  '/quit': (session) => {
    session.close()
    return undefined
  },
}

function readTasks(session: SessionHandle, view: LiveView): { close(): void } {
  view.note(`type a task, or ${Object.keys(ACTIONS).join(', ')}; Ctrl-C leaves and the session goes on`)
  const lines = createInterface({ input: process.stdin, terminal: false })
  // The end of the input is a way to leave, too.
  lines.on('close', () => session.close())
  lines.on('line', (raw) => {
    const line = raw.trim()
    if (line === '') return
    if (line.startsWith('/') && !Object.hasOwn(ACTIONS, line)) {
      view.note(`${line} is not known; there are ${Object.keys(ACTIONS).join(', ')}`)
      return
    }
    const action = ACTIONS[line] ?? ((it: SessionHandle) => it.execute(line))
    action(session)?.catch((error: unknown) => {
      if (error instanceof ClientError && !isOver(error)) view.note(error.message)
    })
  })
  return lines
}

/** The end of the session is shown by the session itself. */
const isOver = ({ code }: ClientError): boolean => code === 'session_ended' || code === 'closed'
