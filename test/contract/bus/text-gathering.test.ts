/**
 * Text that a session's writer gathers, for however long: what an edge sees of it is in order, whole and kept.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { OutEntry, SmallState } from '../../../src/bus/bus.js'
import { EventBatch } from '../../../src/worker/event-batch.js'
import { MAX_INTERVAL_MS, MIN_INTERVAL_MS } from '../../../src/worker/flush-interval.js'
import { ARRIVAL, TestEdge, TestOwner } from '../../support/bus-actors.js'
import { eachBus } from '../../support/bus-fixtures.js'
import { seededRandom } from '../../support/random.js'

const SHARD = 34
const MESSAGES = 4
const PIECES = 40
const AT = '2026-01-01T00:00:00.000Z'
const ALPHABET = ['a', 'é', '€', '😀', 'word ', '\n'] as const
const state = { session: {}, turn: 1, cancelled: [] } as unknown as SmallState
const unexpected = (): never => {
  throw new Error('nothing is lost here')
}

const chunkOf = (entry: OutEntry): string =>
  entry.kind === 'text' ? (JSON.parse(entry.json) as { data: { chunk: string } }).data.chunk : ''

eachBus((fixture) => {
  test('W-52: text arrives byte by byte in order, before the event that follows it, whatever the interval', async () => {
    const random = seededRandom('text-gathering')
    const { bus } = await fixture.open()
    const edge = await TestEdge.open(bus)
    const owner = await TestOwner.claim(bus, SHARD)
    const sessionId = await owner.spawn(edge.name)
    const interval = { ms: MIN_INTERVAL_MS, kept: () => undefined }
    const place = { claim: owner.claimed, sessionId, headSeq: 0, part: undefined, lastCommit: '' }
    const told = { restore: async () => unexpected(), onWritten: () => undefined, onLost: unexpected }
    const batch = new EventBatch({ log: bus.log, ...place, interval, ...told })
    const written: string[] = []

    for (let message = 0; message < MESSAGES; message++) {
      batch.openMessage(`msg_${message}`)
      let text = ''
      for (let piece = 0; piece < PIECES; piece++) {
        interval.ms = random.pick([MIN_INTERVAL_MS, MIN_INTERVAL_MS * 2, MAX_INTERVAL_MS])
        const next = random.pick(ALPHABET)
        text += next
        // In halves, as a vendor may cut it.
        for (const half of next.split('')) batch.text(half)
        await sleep(random.integer(0, 8))
      }
      written.push(text)
      const event = { type: 'task_cancelled', sessionId, timestamp: AT, taskId: 't', reason: '', usage: {} as never }
      await batch.append({ events: [event as never], status: 'active', state, clearPart: true })
    }

    await expect.poll(() => edge.events(sessionId).length, ARRIVAL).toBe(MESSAGES)
    const seen = edge.entries.filter((entry) => entry.kind !== 'acceptances')
    const texts = Array.from({ length: MESSAGES }, () => '')
    let ended = 0
    for (const entry of seen) {
      if (entry.kind !== 'text') ended += 1
      else {
        expect(entry.messageId).toBe(`msg_${ended}`)
        expect(entry.offset).toBe(Buffer.byteLength(texts[ended] ?? ''))
        texts[ended] += chunkOf(entry)
      }
    }
    expect(texts).toEqual(written)
  })

  test('text that an edge has seen is kept, however long it is gathered', async () => {
    const { bus } = await fixture.open()
    const edge = await TestEdge.open(bus)
    const owner = await TestOwner.claim(bus, SHARD)
    const sessionId = await owner.spawn(edge.name)
    const place = { claim: owner.claimed, sessionId, headSeq: 0, part: undefined, lastCommit: '' }
    const told = { restore: async () => unexpected(), onWritten: () => undefined, onLost: unexpected }
    const interval = { ms: MAX_INTERVAL_MS, kept: () => undefined }
    const batch = new EventBatch({ log: bus.log, ...place, interval, ...told })
    batch.openMessage('msg_1')

    for (let piece = 0; piece < 30; piece++) {
      batch.text(`${piece} `)
      await sleep(10)
      const shown = edge.texts(sessionId).map(chunkOf).join('')
      const kept = (await bus.log.load(sessionId))?.part?.text ?? ''
      expect(kept.startsWith(shown)).toBe(true)
    }
    const all = Array.from({ length: 30 }, (_, piece) => `${piece} `).join('')

    await expect.poll(() => edge.texts(sessionId).map(chunkOf).join(''), ARRIVAL).toBe(all)
    expect(edge.texts(sessionId).length).toBeLessThan(20)
  })
})
