/**
 * What is read from a client's message: whom it is about, where it starts, and the command that it becomes.
 */
import type { Command } from '../bus/command.js'
import type { ClientMessage, ClientMessageType, RequestId } from '../protocol/commands.js'
import { newCommandId, parseEventId, type SessionId } from '../protocol/ids.js'
import { newTask } from '../protocol/session.js'
import { contextOf } from '../protocol/traceparent.js'
import { type Place, START } from './subscription.js'

export type Message<T extends ClientMessageType> = Extract<ClientMessage, { type: T }>

/** Those that a session's worker carries out. */
export type CommandMessage = Message<
  'execute_task' | 'stop_session' | 'complete_session' | 'pause_session' | 'resume_session' | 'cancel_task'
>

export const requestIdOf = (message: ClientMessage): RequestId | undefined => message.requestId ?? message.id

export function sessionIdOf(message: ClientMessage): SessionId | undefined {
  const payload = 'payload' in message ? message.payload : undefined
  return payload && 'sessionId' in payload ? payload.sessionId : undefined
}

/** Where a subscription begins. */
export function placeOf(from: NonNullable<Message<'subscribe'>['payload']['from']>): Place {
  const id = parseEventId(from.eventId)
  // The schema has checked it; without an id the story starts at the beginning.
  return id
    ? { ...id, messageId: from.messageId, offset: from.messageId === undefined ? 0 : (from.offset ?? 0) }
    : START
}

/** What every command has: the client's own id, or one of ours. */
export function identified(message: ClientMessage): Pick<Command, 'id' | 'requestId' | 'traceparent'> {
  const requestId = requestIdOf(message)
  const traceparent = contextOf(message)
  return {
    id: message.commandId ?? newCommandId(),
    ...(requestId !== undefined && { requestId }),
    ...(traceparent !== undefined && { traceparent }),
  }
}

/** What of it goes to the session's worker. */
export function commandOf(message: CommandMessage): Command {
  const about = identified(message)
  switch (message.type) {
    case 'execute_task': {
      const { task, context } = message.payload
      return { ...about, type: 'execute', task: newTask(task, new Date()), ...(context && { context }) }
    }
    case 'cancel_task': {
      const { taskId } = message.payload
      return { ...about, type: 'cancel', ...(taskId !== undefined && { taskId }) }
    }
    case 'stop_session': {
      const { failure } = message.payload
      return { ...about, type: 'stop', ...(failure !== undefined && { failure }) }
    }
    case 'complete_session':
      return { ...about, type: 'complete' }
    case 'pause_session':
      return { ...about, type: 'pause' }
    case 'resume_session':
      return { ...about, type: 'resume' }
  }
}
