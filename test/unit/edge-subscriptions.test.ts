/**
 * What the registry of subscriptions asks of the log, and when.
 */
import { expect, onTestFinished, test, vi } from 'vitest'
import type { Resumed } from '../../src/bus/bus.js'
import { START } from '../../src/edge/subscription.js'
import { Subscriptions } from '../../src/edge/subscriptions.js'
import { newSessionId } from '../../src/protocol/ids.js'

const SESSION = newSessionId(0)
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const bodyOf = (seq: number): string => JSON.stringify({ type: 'note', eventId: `1-${seq}` })
const event = (seq: number) => ({ epoch: 1, seq, body: bodyOf(seq) })
const stored = (seq: number) => ({ eventId: `1-${seq}`, body: bodyOf(seq) })

class Client {
  room = true
  readonly frames: string[] = []

  hasRoom(): boolean {
    return this.room
  }

  push(frame: string): void {
    const { type, eventId, reset } = JSON.parse(frame)
    this.frames.push(`${type} ${eventId}${reset ? ' reset' : ''}`)
  }
}

function fixture() {
  const answers: ((answer: Resumed) => void)[] = []
  const asked: string[] = []
  const left: string[] = []
  const log = {
    resume: (_session: string, outbox: string, after: string): Promise<Resumed> => {
      asked.push(`${after} for ${outbox}`)
      return new Promise((resolve) => answers.push(resolve))
    },
    unsubscribe: async (_session: string, outbox: string): Promise<void> => void left.push(outbox),
  }
  const events = { page: async () => [], contains: async () => false, last: async () => undefined }
  const trace = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() }
  const wake = vi.fn(async () => undefined)
  const subscriptions = new Subscriptions({ log, events, snapshot: async () => undefined, wake, trace })
  subscriptions.start('edge-1')
  const answer = async (resumed: Resumed): Promise<void> => {
    await vi.waitFor(() => expect(answers.length).toBeGreaterThan(0))
    answers.shift()?.(resumed)
    await turn()
  }
  return { subscriptions, asked, left, wake, answer }
}

const upTo = (head: number, ...events: number[]): Resumed => ({
  status: 'ok',
  head: `1-${head}`,
  events: events.map(stored),
  part: undefined,
})

test('entries that come while the log is read follow its answer, without those it held', async () => {
  const { subscriptions, answer } = fixture()
  const client = new Client()
  void subscriptions.subscribe(SESSION, client, START)

  subscriptions.deliver(SESSION, [event(2)])
  subscriptions.deliver(SESSION, [event(3), event(4)])
  await answer(upTo(2, 1, 2))

  expect(client.frames).toEqual(['note 1-1', 'note 1-2', 'note 1-3', 'note 1-4'])
})

test('when too much comes meanwhile the log is read once more', async () => {
  const { subscriptions, answer, asked } = fixture()
  const client = new Client()
  void subscriptions.subscribe(SESSION, client, START)

  for (let seq = 2; seq < 1_100; seq++) subscriptions.deliver(SESSION, [event(seq)])
  await answer(upTo(1, 1))
  await answer({ status: 'ok', head: '1-3', events: [stored(2), stored(3)], part: undefined })

  expect(asked).toEqual(['0-0 for edge-1', '1-1 for edge-1'])
  expect(client.frames).toEqual(['note 1-1', 'note 1-2', 'note 1-3'])
})

test('the log is told once the last client of a session has gone, and again if entries still come', async () => {
  const { subscriptions, answer, left } = fixture()
  const [first, second] = [new Client(), new Client()]
  for (const client of [first, second]) {
    void subscriptions.subscribe(SESSION, client, START)
    await answer({ status: 'ok', head: '0-0', events: [], part: undefined })
  }

  subscriptions.forget(first)
  const afterFirst = left.length
  subscriptions.forget(second)
  await turn()
  subscriptions.deliver(SESSION, [event(1)])

  expect(afterFirst).toBe(0)
  expect(left).toEqual(['edge-1', 'edge-1'])
})

test('after a reopening everybody resumes from its own place under the new name', async () => {
  const { subscriptions, answer, asked } = fixture()
  const [first, second] = [new Client(), new Client()]
  void subscriptions.subscribe(SESSION, first, START)
  await answer(upTo(2, 1, 2))
  void subscriptions.subscribe(SESSION, second, START)
  await answer({ status: 'ok', head: '1-1', events: [stored(1)], part: undefined })
  asked.length = 0

  subscriptions.reopened('edge-2')

  expect(asked).toEqual(['1-2 for edge-2', '1-1 for edge-2'])
})

test('an answer that a reopening has overtaken is not used', async () => {
  const { subscriptions, answer } = fixture()
  const client = new Client()
  void subscriptions.subscribe(SESSION, client, START)
  subscriptions.reopened('edge-2')

  await answer(upTo(1, 1))
  const before = [...client.frames]
  await answer(upTo(1, 1))

  expect(before).toEqual([])
  expect(client.frames).toEqual(['note 1-1'])
})

test('a reset that a reopening has overtaken is told by the resume that follows: there is no silent hole', async () => {
  const { subscriptions, answer, asked } = fixture()
  const client = new Client()
  void subscriptions.subscribe(SESSION, client, { epoch: 1, seq: 3, messageId: undefined, offset: 0 })
  await answer({ status: 'below', floor: '1-5', head: '1-8' })

  await vi.waitFor(() => expect(asked).toHaveLength(2))
  subscriptions.reopened('edge-2')
  await answer(upTo(8))
  await answer(upTo(8))
  subscriptions.deliver(SESSION, [event(9)])

  expect(asked.at(-1)).toBe('now for edge-2')
  expect(client.frames).toEqual(['subscribed 1-8 reset', 'note 1-9'])
})

test('a client that has text of a message which the store does not stream is reset before it gets another one', async () => {
  const { subscriptions, answer } = fixture()
  const client = new Client()
  void subscriptions.subscribe(SESSION, client, START)
  await answer(upTo(1, 1))
  subscriptions.deliver(SESSION, [{ messageId: 'lost', offset: 0, bytes: 1, headSeq: 1, json: '{"type":"lost"}' }])

  const other: Resumed = { status: 'ok', head: '1-1', events: [], part: { messageId: 'other', text: 'o' } }
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
  subscriptions.reopened('edge-2')
  await answer(other)
  vi.advanceTimersByTime(2_000)
  await answer(other)
  await answer(other)

  expect(client.frames).toEqual(['note 1-1', 'lost undefined', 'subscribed 1-1 reset', 'stream_chunk undefined'])
})

test('a spawned session is live with its acceptance; a repeated spawn reads the past', async () => {
  const { subscriptions, answer, asked } = fixture()
  const [fresh, again] = [new Client(), new Client()]
  subscriptions.expect(SESSION, fresh)
  subscriptions.spawned(SESSION, 'new')
  subscriptions.deliver(SESSION, [event(1)])

  subscriptions.expect(SESSION, again)
  subscriptions.spawned(SESSION, 'dup')
  await answer(upTo(1, 1))

  expect(asked).toEqual(['0-0 for edge-1'])
  expect([fresh.frames, again.frames]).toEqual([['note 1-1'], ['note 1-1']])
})

test('a slow client is left alone until it has read, then the log is read from its place', async () => {
  const { subscriptions, answer, asked } = fixture()
  const client = new Client()
  void subscriptions.subscribe(SESSION, client, START)
  await answer(upTo(1, 1))

  client.room = false
  subscriptions.deliver(SESSION, [event(2)])
  subscriptions.deliver(SESSION, [event(3)])
  const whileSlow = asked.length
  client.room = true
  subscriptions.roomAgain(client)
  await answer(upTo(3, 2, 3))
  subscriptions.deliver(SESSION, [event(4)])

  expect(whileSlow).toBe(1)
  expect(asked.at(-1)).toBe('1-1 for edge-1')
  expect(client.frames).toEqual(['note 1-1', 'note 1-2', 'note 1-3', 'note 1-4'])
})

test('events of a newer owner that begin before our place are not believed: the log decides', async () => {
  const { subscriptions, answer, asked } = fixture()
  const client = new Client()
  void subscriptions.subscribe(SESSION, client, START)
  await answer(upTo(3, 1, 2, 3))

  subscriptions.deliver(SESSION, [{ epoch: 2, seq: 3, body: '{}' }])

  expect(asked.at(-1)).toBe('1-3 for edge-1')
  expect(client.frames).toHaveLength(3)
})

test('a session that the store does not hold is asked for three times at most, and read as soon as it is there', async () => {
  const { subscriptions, answer, asked, wake } = fixture()
  const client = new Client()
  void subscriptions.subscribe(SESSION, client, START)

  for (let time = 1; time <= 5; time++) {
    await answer({ status: 'unknown' })
    subscriptions.awoke(SESSION)
  }
  await answer(upTo(2, 1, 2))

  expect(wake.mock.calls).toEqual(Array(3).fill([SESSION, 'edge-1']))
  expect(asked).toHaveLength(6)
  expect(client.frames).toEqual(['note 1-1', 'note 1-2'])
})
