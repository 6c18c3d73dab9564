/**
 * How far a session's log is read back before its next turn: as far as its runtime looks back, and no further. Pure.
 *
 *   … │ kept │ … task ▸ … summary │ what followed          of a conversation that was summed up
 *     └─ read from here, or from the task where it is older
 *   … │ task ▸ … task ▸ … task ▸ …                         of one that was not: from a task on, as much as may be sent
 *     └─ read from here
 */
import type { LoggedEvent } from '../protocol/events.js'
import type { SessionType } from '../protocol/session.js'

/** `task` the task at hand alone · `context` all that its model is told. */
export type Lookback = 'nothing' | 'task' | 'context'

const LOOKBACK: Readonly<Record<SessionType, Lookback>> = {
  // A load tool.
  echo: 'nothing',
  llm: 'context',
  // Claude Code has a transcript of its own, and needs the task that it goes on with.
  'claude-code': 'task',
  'claude-flow': 'task',
  ruflo: 'task',
}

/** `context` for a session that has not been announced. */
export const lookbackOf = (type: SessionType | undefined): Lookback => (type ? LOOKBACK[type] : 'context')

/** In the log. Few texts have more bytes to a token, however much JSON stands around them. */
const BYTES_PER_TOKEN = 16

/** Is shown events from the newest to the oldest, and says where to stop. */
export class Reach {
  #bytes = 0
  /** Messages that a summary left as they were and that have not been met. */
  #kept: number | undefined
  #isTaskMet = false
  #isEndless = false
  readonly #contextBytes: number

  /** What is longer than `contextTokens` is never sent as a whole. */
  constructor(
    private readonly lookback: Lookback,
    contextTokens: number,
  ) {
    this.#contextBytes = BYTES_PER_TOKEN * contextTokens
  }

  /** Takes the next older event, whose JSON has so many bytes. True when no older one is needed. */
  take(event: LoggedEvent, bytes: number): boolean {
    // The task that was left unfinished is needed by every runtime.
    if (this.lookback !== 'context') return event.type === 'task_executing'
    if (event.type === 'context_compacted') this.#meetSummary(event.kept)
    if (this.#isEndless || !isMessage(event)) return false
    this.#bytes += bytes
    if (this.#kept === undefined) return event.type === 'task_executing' && this.#bytes >= this.#contextBytes
    this.#kept -= 1
    // The task that was worked on when it was summed up stands behind the summary, however long ago it was given.
    this.#isTaskMet ||= event.type === 'task_executing'
    return this.#kept <= 0 && this.#isTaskMet
  }

  /** The last one counts. One that does not say what it kept counts from the beginning. */
  #meetSummary(kept: number | undefined): void {
    if (kept === undefined) this.#isEndless = true
    this.#kept ??= kept
  }
}

/** Each brings the conversation one message. */
function isMessage(event: LoggedEvent): boolean {
  if (event.type === 'stream_end' || event.type === 'tool_call_result') return event.agent === undefined
  return event.type === 'task_executing'
}
