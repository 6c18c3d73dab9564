/**
 * A session as people read it: who said what, what tools were called for, and how tasks ended.
 */
import type { LoggedEvent, ToolCallResult } from '../../protocol/events.js'

export interface TranscriptEntry {
  readonly eventId: string
  readonly at: string
  readonly role: 'user' | 'assistant' | 'tool' | 'system'
  readonly text: string
  readonly agent?: string
  readonly taskId?: string
  readonly messageId?: string
  readonly callId?: string
  /** Of the tool, or of the event behind a line of the system. */
  readonly name?: string
  readonly toolCalls?: readonly { readonly callId: string; readonly name: string; readonly input: object }[]
  readonly ok?: boolean
}

type Line = Omit<TranscriptEntry, 'eventId' | 'at'>

/** Undefined for events that a reader need not know. */
export function entryOf(event: LoggedEvent): TranscriptEntry | undefined {
  const line = lineOf(event)
  const agent = 'agent' in event ? event.agent : undefined
  return line && { eventId: event.eventId, at: event.timestamp, ...line, ...(agent !== undefined && { agent }) }
}

function lineOf(event: LoggedEvent): Line | undefined {
  switch (event.type) {
    case 'task_executing':
      return { role: 'user', text: event.task.description, taskId: event.taskId }
    case 'stream_end': {
      const { text, messageId, toolCalls } = event
      return { role: 'assistant', text, messageId, ...(toolCalls.length > 0 && { toolCalls }) }
    }
    case 'tool_call_result':
      return toolLine(event)
    case 'approval_request':
      return said(event, event.reason, { taskId: event.taskId, callId: event.callId })
    case 'approval_resolved': {
      const { toolName, status, decidedBy, comment } = event
      const by = decidedBy === undefined ? '' : ` by ${decidedBy}`
      return said(event, `${toolName}: ${status}${by}${comment === undefined ? '' : `: ${comment}`}`, {
        ...{ taskId: event.taskId, callId: event.callId, ok: status === 'approved' },
      })
    }
    case 'task_failed':
      return said(event, event.error, { taskId: event.taskId, ok: false })
    case 'task_cancelled':
      return said(event, event.reason, { taskId: event.taskId, ok: false })
    case 'session_takeover':
      return said(event, `${event.worker} goes on with what ${event.fromWorker} had begun`, { taskId: event.taskId })
    case 'context_compacted':
      return said(event, event.summary, {})
    default:
      return undefined
  }
}

const said = ({ type }: LoggedEvent, text: string, about: Partial<Line>): Line => ({
  ...{ role: 'system', name: type, text },
  ...about,
})

function toolLine({ data }: ToolCallResult): Line {
  const { callId, toolName: name, status, result, error } = data
  const text = error ?? (result === undefined ? '' : JSON.stringify(result))
  return { role: 'tool', name, callId, text, ok: status === 'completed' }
}
