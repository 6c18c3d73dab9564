/**
 * A session as one client of the load knows it: what it has received, and which of its commands have not ended.
 */
import { Continuity, eventIdOf, type Verdict } from '../../client/continuity.js'
import type { Position } from '../../protocol/commands.js'
import type { LoggedEvent, ServerMessage } from '../../protocol/events.js'
import { parseEventId, shardOfSession } from '../../protocol/ids.js'
import { isTerminal } from '../../protocol/session.js'
import type { LoadCommand } from './command.js'

export interface OpenCommand {
  readonly command: LoadCommand
  accepted: boolean
  /** When it is to be sent again after an error; undefined while an answer is awaited. */
  again: NodeJS.Timeout | undefined
}

export class LoadSession {
  readonly open = new Map<string, OpenCommand>()
  readonly #continuity = new Continuity()
  #id: string | undefined
  /** The server was asked to go on from our position and has not answered. */
  asking = false
  over = false

  /** `name` is the id of its spawn. */
  constructor(
    readonly name: string,
    readonly onEnded: (session: LoadSession, command: LoadCommand) => void = () => {},
  ) {}

  get id(): string {
    return this.#id ?? ''
  }

  set id(id: string) {
    this.#id = id
  }

  get spawned(): boolean {
    return this.#id !== undefined
  }

  get shard(): number {
    return shardOfSession(this.id) ?? -1
  }

  get position(): Position {
    return this.#continuity.position
  }

  /** Of the owner that wrote the last event. */
  get epoch(): number {
    return parseEventId(this.position.eventId)?.epoch ?? 0
  }

  /** Whether a message is the next one; takes it if it is. */
  judge(message: ServerMessage): Verdict {
    if (message.type === 'stream_chunk') return this.#continuity.chunk(message)
    const eventId = eventIdOf(message)
    return eventId === undefined ? 'known' : this.#continuity.event(eventId)
  }

  reset(eventId: string): void {
    this.#continuity.reset({ eventId })
  }

  /**
   * The open commands that this event ended: control ends with the status that it caused, or with its session, when a `stop`
   * came to run before it.
   */
  endedBy(message: LoggedEvent): readonly OpenCommand[] {
    if (message.type === 'stream_end') this.#continuity.complete(message.messageId, message.text)
    if (message.type === 'session_status_update' && isTerminal(message.session.status)) this.over = true
    const isEnded = ({ command }: OpenCommand): boolean =>
      (String(message.requestId) === command.id && ends(message, command)) || (this.over && !isTask(command))
    const ended = [...this.open.values()].filter(isEnded)
    for (const { command } of ended) this.open.delete(command.id)
    return ended
  }
}

const isTask = ({ type }: LoadCommand): boolean => type === 'spawn' || type === 'execute'

function ends({ type }: LoggedEvent, command: LoadCommand): boolean {
  if (isTask(command)) {
    return type === 'task_completed' || type === 'task_failed' || type === 'task_cancelled'
  }
  return type === 'session_status_update'
}
