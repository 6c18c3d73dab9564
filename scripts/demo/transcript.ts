/**
 * A session as people read it: the model's text as it streams, and a line for each tool call and its outcome.
 */
import type { ServerMessage, ToolCallResult, ToolCallStart } from '../../src/protocol/events.js'
import { number, type Screen } from './screen.js'

/** Of a tool's input or output; the rest is in the log. */
const SHOWN_CHARS = 96

export class Transcript {
  /** The text of a message stands at the end of the output, without a line end. */
  #inText = false

  constructor(private readonly screen: Screen) {}

  show(message: ServerMessage): void {
    if (message.type === 'stream_chunk') this.#text(message.data.chunk)
    if (message.type === 'stream_end') this.#endText()
    const line = this.#lineOf(message)
    if (line === undefined) return
    this.#endText()
    this.screen.line(line)
  }

  #lineOf(message: ServerMessage): string | undefined {
    const { colour } = this.screen
    switch (message.type) {
      case 'session_spawned':
        return colour.dim(`session ${message.sessionId}`)
      case 'tool_call_start':
        return `${colour.yellow(`  ▸ ${message.data.toolName}`)} ${colour.dim(inputOf(message))}`
      case 'tool_call_result':
        return this.#outcome(message)
      case 'session_takeover':
        return colour.magenta(`  ⇄ ${message.worker} goes on`)
      case 'task_failed':
        return colour.red(`✗ ${message.error}`)
      default:
        return undefined
    }
  }

  #text(chunk: string): void {
    const { colour } = this.screen
    if (!this.#inText) this.screen.write(`\n${colour.bold('model')} `)
    this.#inText = true
    this.screen.write(colour.cyan(chunk))
  }

  #endText(): void {
    if (this.#inText) this.screen.line()
    this.#inText = false
  }

  #outcome({ data }: ToolCallResult): string {
    const { colour } = this.screen
    if (data.status === 'failed') return colour.red(`  ✗ ${shortened(data.error ?? 'failed')}`)
    return `${colour.green('  ✓')} ${colour.dim(summaryOf(data.toolName, data.result ?? {}))}`
  }
}

function inputOf({ data }: ToolCallStart): string {
  const { command, path } = data.toolInput as { readonly command?: unknown; readonly path?: unknown }
  return shortened(String(command ?? path ?? JSON.stringify(data.toolInput)))
}

/** The one thing of a result that a reader wants to know. */
function summaryOf(tool: string, result: object): string {
  const { size, count, stdout, exitCode } = result as Readonly<Record<string, unknown>>
  if (tool === 'file_list') return `${number(Number(count))} entries`
  if (tool === 'bash_execute') return shortened(`exit ${exitCode} ${String(stdout).trim()}`.trim())
  return size === undefined ? 'done' : `${number(Number(size))} bytes`
}

function shortened(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ')
  return line.length <= SHOWN_CHARS ? line : `${line.slice(0, SHOWN_CHARS - 1)}…`
}
