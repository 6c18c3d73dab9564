/**
 * How a task of Neolith reaches a session, and how its story comes back: somebody else's business, in these words.
 */
import { createHash } from 'node:crypto'
import type { Position } from '../protocol/commands.js'
import type { ServerMessage } from '../protocol/events.js'
import type { NeolithTaskRow } from '../storage/neolith-tasks.js'
import type { Answered } from './answer-words.js'

/** What the session says, in order and once, from a position on. */
export interface Story extends AsyncIterable<ServerMessage> {
  readonly sessionId: string
  /** Stops listening; the session goes on. May be called twice. */
  close(): void
}

/** The service does not take the task; `retry`: it may later. */
export class TaskRefused extends Error {
  constructor(
    message: string,
    readonly retry: boolean,
  ) {
    super(message)
    this.name = 'TaskRefused'
  }
}

/** The last message of a story. */
export interface TaskOutcome {
  readonly kind: 'result' | 'failed' | 'cancelled'
  readonly words: string
}

/** The story broke off, and can be gone on with from the last position. */
export class StoryBroken extends Error {}

export interface SessionAnswer {
  readonly decision: 'approve' | 'reject'
  /** Who says it, and why. */
  readonly comment: string
  /** Of the message that says it. */
  readonly messageId: string
}

export interface SessionDoor {
  /**
   * The story of the task's session behind `from`. Where there is no session yet it is spawned, once however often it is
   * asked for. @throws TaskRefused
   */
  open(row: NeolithTaskRow, from: Position | null): Promise<Story>
  /** Answers what a task's session waits for; repeated with the same message, it counts once. @throws TaskRefused */
  answer(row: NeolithTaskRow, answer: SessionAnswer): Promise<Answered>
  /** How the task ended, where the story no longer tells; undefined while that is not known. */
  end(sessionId: string, taskId: string): Promise<TaskOutcome | undefined>
}

/** Of a task and a command; what Neolith calls a message is for Neolith to choose. */
const USUAL_ID = /^[\w-]{1,100}$/

/** Id of the task, and of the command that brings it: whoever asks again asks for the same. */
export function taskIdOf({ messageId }: Pick<NeolithTaskRow, 'messageId'>): string {
  const id = USUAL_ID.test(messageId) ? messageId : createHash('sha256').update(messageId).digest('hex')
  return `neolith-${id}`
}
