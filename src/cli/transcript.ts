/**
 * A session as people read it: the model's text as it streams, one line for each tool call with its outcome and time,
 * one for the end of each task. Turns messages into text; printing is done by others.
 */
import type {
  ServerMessage,
  StreamEnd,
  TaskCancelled,
  TaskCompleted,
  TaskFailed,
  ToolCallResult,
  ToolCallStart,
} from '../protocol/events.js'
import { isTerminal, type Session, type TaskUsage } from '../protocol/session.js'
import { type Colours, duration, printable, shortened } from './output.js'

/** Of a task, or a tool's input or error, on a line; the whole is in the log, and in `--json`. */
const SHOWN_CHARS = 96
/** Tool calls whose start is remembered for their duration. */
const MAX_OPEN_CALLS = 1_000

export class Transcript {
  /** The message that is being written, and how much of it the reader has. */
  #message: { readonly id: string; text: string } | undefined
  #lastText = ''
  #midLine = false
  readonly #callStarts = new Map<string, number>()

  constructor(private readonly colours: Colours) {}

  /** What a message adds to the page; '' when there is nothing to say. */
  show(message: ServerMessage): string {
    switch (message.type) {
      case 'stream_chunk':
        return this.#chunk(message.data.messageId, message.data.chunk)
      case 'stream_end':
        return this.#streamEnd(message)
      case 'task_completed':
        return this.#completed(message)
      default: {
        const line = this.#lineOf(message)
        return line === undefined ? '' : this.#line(line)
      }
    }
  }

  /** Ends a line that is half written, so that something else can be printed. */
  endLine(): string {
    const end = this.#midLine ? '\n' : ''
    this.#midLine = false
    return end
  }

  #line(text: string): string {
    return `${this.endLine()}${text}\n`
  }

  #lineOf(message: ServerMessage): string | undefined {
    const { bold, dim, magenta } = this.colours
    switch (message.type) {
      case 'session_spawned':
        return dim(`session ${message.sessionId} (${message.session.type})`)
      case 'task_executing':
        return `${bold('task')} ${shortened(message.task.description, SHOWN_CHARS)}`
      case 'tool_call_start':
        return this.#callStart(message)
      case 'tool_call_result':
        return this.#callResult(message)
      case 'approval_request':
        return magenta(`  ? ${message.approvalId} ${shortened(message.reason, SHOWN_CHARS)}`)
      case 'approval_resolved':
        return dim(`  ${message.approvalId} ${message.status}`)
      case 'session_takeover':
        return magenta(`  ⇄ ${message.worker} goes on, ${duration(message.afterMs)} after the last sign of life`)
      case 'context_compacted':
        return dim(`  the first ${message.messages} messages of the conversation were summed up`)
      case 'conversation_retold':
        return magenta(`  ! the conversation began anew: ${shortened(message.reason, SHOWN_CHARS)}`)
      case 'task_failed':
      case 'task_cancelled':
        return this.#ended(message)
      case 'session_status_update':
        return this.#status(message.session)
      case 'subscribed':
        return dim(`what came before is not shown (the session is ${message.session?.status ?? 'unknown'} now)`)
      default:
        return undefined
    }
  }

  #chunk(messageId: string, chunk: string): string {
    if (this.#message?.id !== messageId) this.#message = { id: messageId, text: '' }
    this.#message.text += chunk
    return this.#text(chunk)
  }

  #text(raw: string): string {
    const text = printable(raw)
    if (text !== '') this.#midLine = !text.endsWith('\n')
    return text
  }

  // A message that ended before we came has no chunks any more: its end brings what is missing.
  #streamEnd({ messageId, text }: StreamEnd): string {
    const shown = this.#message?.id === messageId ? this.#message.text : ''
    this.#message = undefined
    this.#lastText = text
    const rest = text.startsWith(shown) ? text.slice(shown.length) : text
    return `${this.#text(rest)}${this.endLine()}`
  }

  #callStart({ data, timestamp }: ToolCallStart): string {
    if (this.#callStarts.size < MAX_OPEN_CALLS) this.#callStarts.set(data.callId, Date.parse(timestamp))
    return this.colours.dim(`  ▸ ${printable(data.toolName)} ${inputOf(data.toolInput)}`)
  }

  #callResult({ data, timestamp }: ToolCallResult): string {
    const { dim, green, red } = this.colours
    const start = this.#callStarts.get(data.callId)
    this.#callStarts.delete(data.callId)
    const took = start === undefined ? '' : ` in ${duration(Date.parse(timestamp) - start)}`
    const name = printable(data.toolName)
    if (data.status === 'completed') return `${green('  ✓')} ${dim(`${name}${took}`)}`
    return red(`  ✗ ${name}${took}: ${shortened(data.error ?? 'failed', SHOWN_CHARS)}`)
  }

  #completed(message: TaskCompleted): string {
    const { output } = message.result
    // The model's last message usually is the output, and stands there already.
    const told = output === this.#lastText ? this.endLine() : this.#line(printable(output))
    return `${told}${this.#line(this.#ended(message))}`
  }

  #ended(message: TaskCompleted | TaskFailed | TaskCancelled): string {
    const { dim, green, red, yellow } = this.colours
    const usage = dim(usageOf(message.usage))
    if (message.type === 'task_completed') return `${green('✓ completed')} ${usage}`
    if (message.type === 'task_cancelled') {
      return `${yellow(`- cancelled (${shortened(message.reason, SHOWN_CHARS)})`)} ${usage}`
    }
    return `${red(`✗ failed: ${printable(message.error)} (${message.code})`)} ${usage}`
  }

  #status({ status }: Session): string | undefined {
    const { dim, yellow } = this.colours
    if (isTerminal(status)) return dim(`session ${status}`)
    return status === 'paused' ? yellow('paused') : undefined
  }
}

/** The one thing of a tool's input that a reader wants to know. */
export function inputOf(input: object): string {
  const { command, path, file_path, url } = input as Readonly<Record<string, unknown>>
  return shortened(String(command ?? path ?? file_path ?? url ?? JSON.stringify(input)), SHOWN_CHARS)
}

function usageOf({ duration: ms, promptTokens, completionTokens, cost }: TaskUsage): string {
  const tokens = promptTokens + completionTokens
  const parts = [
    duration(ms),
    ...(tokens > 0 ? [`${tokens} tokens`] : []),
    ...(cost > 0 ? [`$${cost.toFixed(4)}`] : []),
  ]
  return `(${parts.join(', ')})`
}
