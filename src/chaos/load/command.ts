/**
 * Commands of the load. A command has one id everywhere: as `commandId`, as `requestId` and as the id of its task.
 */
import type { ClientMessageInput } from '../../protocol/commands.js'
import type { CommandType } from '../journal.js'
import { type ScriptStep, scriptText } from '../tool-script.js'

export interface LoadCommand {
  readonly id: string
  readonly type: CommandType
  readonly frame: string
  readonly poison?: true
}

const frameOf = (message: ClientMessageInput): string => JSON.stringify(message)

const envelope = (id: string) => ({ commandId: id, requestId: id })

export function spawnCommand(id: string, sessionType: 'echo' | 'llm'): LoadCommand {
  const description = sessionType === 'llm' ? scriptText({ command: id, steps: [], words: 1 }) : 'hello'
  const payload = { orchestratorId: 'chaos', sessionType, idempotencyKey: id, task: { id, description } }
  return { id, type: 'spawn', frame: frameOf({ type: 'spawn_session', ...envelope(id), payload }) }
}

/** Ends as soon as it begins. */
export const quickCommand = (id: string, sessionId: string): LoadCommand => execute(id, sessionId, 'x')

/** Streams `chunks` pieces, one every `delayMs`. */
export const streamingCommand = (id: string, sessionId: string, chunks: number, delayMs: number): LoadCommand =>
  execute(id, sessionId, JSON.stringify({ count: chunks, bytes: 16, delayMs }))

export const scriptCommand = (
  id: string,
  sessionId: string,
  steps: readonly ScriptStep[],
  words: number,
): LoadCommand => execute(id, sessionId, scriptText({ command: id, steps, words }))

/** Its worker is killed as soon as it asks the model. */
export const poisonCommand = (id: string, sessionId: string): LoadCommand => ({
  ...execute(id, sessionId, scriptText({ command: id, steps: [], words: 10, poison: true })),
  poison: true,
})

const CONTROL = {
  stop: 'stop_session',
  pause: 'pause_session',
  resume: 'resume_session',
  cancel: 'cancel_task',
} as const

export function controlCommand(id: string, sessionId: string, type: keyof typeof CONTROL): LoadCommand {
  return { id, type, frame: frameOf({ type: CONTROL[type], ...envelope(id), payload: { sessionId } }) }
}

function execute(id: string, sessionId: string, description: string): LoadCommand {
  const payload = { sessionId, task: { id, description } }
  return { id, type: 'execute', frame: frameOf({ type: 'execute_task', ...envelope(id), payload }) }
}
