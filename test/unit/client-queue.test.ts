/**
 * What a session has said waits in bounded memory, and never with a silent hole.
 */
import { expect, test } from 'vitest'
import { MessageQueue } from '../../src/client/message-queue.js'
import type { ServerMessage } from '../../src/protocol/events.js'

const chunk = (messageId: string, offset: number, text: string): ServerMessage => ({
  type: 'stream_chunk',
  data: { sessionId: 's', chunk: text, messageId, offset, metadata: { tokens: 1 } },
})
const pong: ServerMessage = { type: 'pong' }

async function drain(queue: MessageQueue): Promise<ServerMessage[]> {
  const messages: ServerMessage[] = []
  for (let next = await queue.next(); !next.done; next = await queue.next()) messages.push(next.value)
  return messages
}

test('a reader that waits gets the message at once, in order with what waited', async () => {
  const queue = new MessageQueue()
  const waiting = queue.next()
  queue.push(chunk('m', 0, 'a'))
  queue.push(pong)
  queue.end()

  expect(await waiting).toEqual({ done: false, value: chunk('m', 0, 'a') })
  expect(await drain(queue)).toEqual([pong])
})

test('a full queue joins pieces of one message and loses none of its text', async () => {
  const queue = new MessageQueue(8)
  for (let index = 0; index < 20; index++) queue.push(chunk(index < 10 ? 'm1' : 'm2', index % 10, `${index % 10}`))
  queue.end()

  const messages = await drain(queue)

  const texts = new Map<string, string>()
  for (const message of messages) {
    if (message.type !== 'stream_chunk') continue
    const before = texts.get(message.data.messageId) ?? ''
    expect(message.data.offset).toBe(before.length)
    texts.set(message.data.messageId, before + message.data.chunk)
  }
  expect(messages.length).toBeLessThanOrEqual(8)
  expect(Object.fromEntries(texts)).toEqual({ m1: '0123456789', m2: '0123456789' })
})

test('when joining is not enough the reader is told, instead of missing something', async () => {
  const queue = new MessageQueue(8)
  for (let index = 0; index < 9; index++) queue.push(pong)

  await expect(queue.next()).rejects.toMatchObject({ code: 'slow_consumer' })
})
