/**
 * The story of a session in messages for people, and what whoever goes on from any of them tells.
 */
import { describe, expect, test } from 'vitest'
import { Narrator } from '../../../src/neolith/narrator.js'
import type { Position } from '../../../src/protocol/commands.js'
import type { ServerMessage } from '../../../src/protocol/events.js'
import { seededRandom } from '../../support/random.js'

const TASK = 'neolith-m1'
const usage = { promptTokens: 0, completionTokens: 0, cost: 0, duration: 0 }

/** Builds a session's log with text in chunks, as clients get it. */
class Log {
  readonly messages: ServerMessage[] = []
  #seq = 0

  event(type: string, more: object = {}): this {
    this.#seq += 1
    const base = { type, eventId: `1-${this.#seq}`, sessionId: 's', timestamp: '2026-01-01T00:00:00.000Z' }
    this.messages.push({ ...base, ...more } as unknown as ServerMessage)
    return this
  }

  text(messageId: string, chunks: readonly string[], agent?: string): this {
    this.event('stream_start', { messageId, metadata: { model: 'm' }, ...(agent !== undefined && { agent }) })
    let offset = 0
    for (const chunk of chunks) {
      const data = { sessionId: 's', chunk, messageId, offset, metadata: { tokens: 1 } }
      this.messages.push({ type: 'stream_chunk', data })
      offset += Buffer.byteLength(chunk)
    }
    const text = chunks.join('')
    return this.event('stream_end', { messageId, text, toolCalls: [], ...(agent !== undefined && { agent }) })
  }

  /** What a client gets that has come to `from`. */
  from({ eventId, messageId, offset = 0 }: Position): ServerMessage[] {
    const seq = (id: string) => Number(id.split('-')[1])
    let streaming = 0
    return this.messages.flatMap((message): ServerMessage[] => {
      if (message.type !== 'stream_chunk') {
        const at = 'eventId' in message ? seq(message.eventId ?? '') : 0
        streaming = at
        return at > seq(eventId) ? [message] : []
      }
      const { data } = message
      const have = data.messageId === messageId ? offset : streaming < seq(eventId) ? Number.POSITIVE_INFINITY : 0
      const skip = have - data.offset
      if (skip >= Buffer.byteLength(data.chunk)) return []
      if (skip <= 0) return [message]
      const chunk = Buffer.from(data.chunk).subarray(skip).toString()
      return [{ ...message, data: { ...data, chunk, offset: have } }]
    })
  }
}

function tell(log: Log, from: Position | null = null, msPerMessage = 0) {
  let now = 0
  const narrator = new Narrator({ messageId: 'm1', taskId: TASK, from, clock: () => now })
  const pieces = log.from(from ?? { eventId: '0-0' }).flatMap((message) => {
    now += msPerMessage
    return narrator.over ? [] : narrator.hear(message)
  })
  return { pieces, narrator }
}

const shown = (log: Log) => tell(log).pieces.map(({ kind, content }) => [kind, content])

const begun = () => new Log().event('session_spawned').event('task_executing', { taskId: TASK })
const completed = (log: Log, output: string) =>
  log.event('task_completed', { taskId: TASK, result: { success: true, output }, usage })

describe('a story', () => {
  test('begins with a word, and ends with the text of the last message', () => {
    expect(shown(completed(begun().text('a', ['4', '2']), '42'))).toEqual([
      ['started', 'On it.'],
      ['result', '42'],
    ])
  })

  test('tells what was said before a tool was called', () => {
    const log = begun().text('a', ['Let me look.']).event('tool_call_start', { data: {} }).event('tool_call_result')

    expect(shown(completed(log.text('b', ['Found it.']), 'Found it.'))).toEqual([
      ['started', 'On it.'],
      ['progress', 'Let me look.'],
      ['result', 'Found it.'],
    ])
  })

  test('has the output where nothing was said, and a word where there is none', () => {
    expect(shown(completed(begun(), 'forty-two')).at(-1)).toEqual(['result', 'forty-two'])
    expect(shown(completed(begun(), '')).at(-1)).toEqual(['result', 'Done.'])
  })

  test.each([
    [
      'task_failed',
      { error: 'Token budget exceeded for period', code: 'x' },
      ['failed', 'Token budget exceeded for period'],
    ],
    ['task_cancelled', { reason: 'x' }, ['cancelled', 'The task was cancelled.']],
  ])('that ends with %s says so, after what was said', (type, more, last) => {
    const log = begun()
      .text('a', ['Half of it'])
      .event(type, { taskId: TASK, usage, ...more })

    expect(shown(log).slice(1)).toEqual([['progress', 'Half of it'], last])
  })

  test('says who must allow what', () => {
    const log = begun().event('approval_request', { toolName: 'bash', reason: 'rm deletes files' })

    expect(shown(log).at(-1)).toEqual(['approval', 'Waiting for a person to allow bash: rm deletes files'])
  })

  test('leaves out what other agents say, and the ends of other tasks', () => {
    const log = begun()
      .text('x', ['aside'], 'coder')
      .event('task_completed', {
        ...{ taskId: 'other', result: { success: true, output: 'other' }, usage },
      })

    expect(shown(log)).toEqual([['started', 'On it.']])
  })

  test('cuts what is too long between words, and loses none', () => {
    const text = Array.from({ length: 4_000 }, (_, i) => `wörd${i}`).join(' ')
    const { pieces } = tell(completed(begun().text('a', [text]), text))

    expect(pieces.every(({ content }) => content.length <= 8_000)).toBe(true)
    expect(
      pieces
        .slice(1)
        .map(({ content }) => content)
        .join(' '),
    ).toBe(text)
  })

  test('never cuts a character in two', () => {
    const text = '😀'.repeat(9_000)

    const { pieces } = tell(completed(begun().text('a', [text]), text))

    expect(
      pieces
        .slice(1)
        .map(({ content }) => content)
        .join(''),
    ).toBe(text)
    expect(pieces.every(({ content }) => Buffer.from(content).toString() === content)).toBe(true)
  })

  test('that takes long is told in paragraphs', () => {
    const paragraph = 'A long paragraph. '.repeat(20).trim()
    const log = completed(begun().text('a', [`${paragraph}\n\n`, paragraph, '\n\n', 'The end.']), '')

    const { pieces } = tell(log, null, 2_000)

    expect(pieces.map(({ kind, content }) => [kind, content])).toEqual([
      ['started', 'On it.'],
      ['progress', paragraph],
      ['progress', paragraph],
      ['result', 'The end.'],
    ])
  })

  test('that goes on from a reset tells what follows', () => {
    const narrator = new Narrator({ messageId: 'm1', taskId: TASK, from: null, clock: () => 0 })
    const reset = { type: 'subscribed', sessionId: 's', eventId: '3-7', reset: true } as const

    expect(narrator.hear(reset)).toEqual([])

    expect(narrator.conclude({ kind: 'failed', words: 'gone' })).toMatchObject([
      { kind: 'failed', content: 'gone', position: { eventId: '3-7' } },
    ])
    expect(narrator.over).toBe(true)
  })
})

test('whoever goes on from any message tells the rest, and nothing twice', () => {
  const random = seededRandom('stories of neolith')
  for (let round = 0; round < 200; round++) {
    const log = begun()
    const messages = random.integer(1, 4)
    for (let message = 0; message < messages; message++) {
      const words = () => 'wört '.repeat(random.integer(0, 79)) + (random.integer(0, 2) ? '' : '\n\n')
      const chunks = Array.from({ length: random.integer(0, 11) }, words)
      log.text(`message-${message}`, chunks)
      if (random.integer(0, 1)) log.event('tool_call_start', { data: {} }).event('tool_call_result')
    }
    completed(log, 'the output')
    const whole = tell(log, null, 500).pieces
    for (const [at, { position }] of whole.slice(0, -1).entries()) {
      const { pieces, narrator } = tell(log, position, 500)
      const words = (list: typeof pieces) =>
        list
          .map(({ content }) => content)
          .join(' ')
          .split(/\s+/)
          .join(' ')
      expect(narrator.over).toBe(true)
      expect(words(pieces).replace(/ ?Done\.$/, '')).toBe(words(whole.slice(at + 1)).replace(/ ?Done\.$/, ''))
    }
  }
})
