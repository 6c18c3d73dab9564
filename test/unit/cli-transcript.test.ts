/**
 * How a session looks on the command line: messages of the server in, text out.
 */
import { expect, test } from 'vitest'
import { NO_COLOURS } from '../../src/cli/output.js'
import { Transcript } from '../../src/cli/transcript.js'
import type { ServerMessage } from '../../src/protocol/events.js'

const SESSION = 'session_000_01M82GF4GZ1QDJK1ACNRY25QCT'
const AT = Date.parse('2026-01-01T00:00:00.000Z')
const USAGE = { promptTokens: 100, completionTokens: 20, cost: 0.0123, duration: 4_200 }

/** A message as it arrives, `ms` after the first one. */
const event = (message: object, ms = 0): ServerMessage =>
  ({ eventId: '1-1', sessionId: SESSION, timestamp: new Date(AT + ms).toISOString(), ...message }) as ServerMessage

const chunk = (text: string, messageId = 'msg_1'): ServerMessage => ({
  type: 'stream_chunk',
  data: { sessionId: SESSION, chunk: text, messageId, offset: 0, metadata: { tokens: 0 } },
})

const end = (text: string, messageId = 'msg_1'): ServerMessage =>
  event({ type: 'stream_end', messageId, text, toolCalls: [] })

const toolStart = (toolName: string, toolInput: object): ServerMessage =>
  event({ type: 'tool_call_start', data: { callId: 'c1', toolName, toolInput } })

const toolResult = (data: object, ms: number): ServerMessage =>
  event({ type: 'tool_call_result', data: { callId: 'c1', toolName: 'bash_execute', ...data } }, ms)

const completed = (output: string): ServerMessage =>
  event({ type: 'task_completed', taskId: 't', result: { success: true, output }, usage: USAGE })

function shown(...messages: readonly ServerMessage[]): string {
  const transcript = new Transcript(NO_COLOURS)
  return messages.map((message) => transcript.show(message)).join('')
}

test('text is shown as it streams, and its end adds only the end of the line', () => {
  expect(shown(chunk('Let me '), chunk('look.'), end('Let me look.'))).toBe('Let me look.\n')
})

test('a message that ended before the reader came is shown whole at its end', () => {
  expect(shown(end('Said before.'))).toBe('Said before.\n')
})

test('a reader who came in the middle of a message gets the rest once', () => {
  expect(shown(chunk('Let '), end('Let me look.'))).toBe('Let me look.\n')
})

test('a tool call is one line with what it does, and one with its outcome and time', () => {
  const page = shown(
    toolStart('bash_execute', { command: 'wc -l\n  *.md' }),
    toolResult({ status: 'completed' }, 1_500),
  )

  expect(page).toBe('  ▸ bash_execute wc -l *.md\n  ✓ bash_execute in 1.5 s\n')
})

test('a tool that failed says why', () => {
  const page = shown(toolStart('bash_execute', {}), toolResult({ status: 'failed', error: 'no such file' }, 20))

  expect(page).toContain('  ✗ bash_execute in 20 ms: no such file\n')
})

test('a line never starts in the middle of streamed text', () => {
  expect(shown(chunk('half'), toolStart('file_read', { path: 'a.md' }))).toBe('half\n  ▸ file_read a.md\n')
})

test('the output of a task that was just streamed is not said twice', () => {
  expect(shown(chunk('Done.'), end('Done.'), completed('Done.'))).toBe(
    'Done.\n✓ completed (4.2 s, 120 tokens, $0.0123)\n',
  )
})

test('an output that nobody has seen is shown before the end of the task', () => {
  expect(shown(completed('42'))).toBe('42\n✓ completed (4.2 s, 120 tokens, $0.0123)\n')
})

test('a task that failed or was cancelled says so with its reason', () => {
  const failed = shown(
    event({ type: 'task_failed', error: 'Rate Limit Error', code: 'model_rate_limit', usage: USAGE }),
  )
  const cancelled = shown(event({ type: 'task_cancelled', reason: 'asked to', usage: USAGE }))

  expect(failed).toMatch(/^✗ failed: Rate Limit Error \(model_rate_limit\)/)
  expect(cancelled).toMatch(/^- cancelled \(asked to\)/)
})

test('a takeover is one line that names the worker and the gap', () => {
  const page = shown(
    event({ type: 'session_takeover', worker: 'w2@1', fromWorker: 'w1@1', afterMs: 3_100, attempt: 1 }),
  )

  expect(page).toBe('  ⇄ w2@1 goes on, 3.1 s after the last sign of life\n')
})

test.each([
  ['the model', chunk('a\u001b]52;c;aGk=\u0007b\u009b2Jc')],
  ['a tool', toolStart('bash\u001b[2J_execute', { command: 'ls \u001b[31m' })],
  ['an output', completed('x\u001b[1A\u0007\r')],
])('%s cannot send control characters to the terminal', (_, message) => {
  expect(shown(message)).not.toMatch(/[^\P{Cc}\n\t]/u)
})

test('messages that tell a reader nothing leave the page as it is', () => {
  expect(shown(event({ type: 'stream_start', messageId: 'msg_1', metadata: { model: 'm' } }))).toBe('')
})
