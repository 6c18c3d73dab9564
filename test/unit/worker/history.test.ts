/**
 * A session's history is read as far as it is needed, without a hole: through an outage of the store, and while its log is
 * trimmed.
 */
import { expect, test } from 'vitest'
import { type SessionRecord, type StoredEvent, StoreRefusal } from '../../../src/bus/bus.js'
import { newSessionId } from '../../../src/protocol/ids.js'
import { type HistorySources, readHistory } from '../../../src/worker/history.js'
import { Reach } from '../../../src/worker/lookback.js'

const sessionId = newSessionId(5)
const open = new AbortController().signal

/** A session of so many events, the first `floor` of which are in Postgres alone. */
class Store implements HistorySources {
  asked = 0
  /** Pages that Postgres was asked for. */
  paged = 0
  floor = 0
  /** Told before each answer of the log. */
  onAsked: () => void = () => undefined

  constructor(readonly events: number) {}

  readonly log = {
    load: async (): Promise<SessionRecord> => {
      this.#ask()
      return { head: `1-${this.events}`, floor: `1-${this.floor}` } as SessionRecord
    },
    events: async (_id: string, after: string, limit: number): Promise<readonly StoredEvent[]> => {
      this.#ask()
      return this.#between(Math.max(this.floor, seq(after)), this.events, limit)
    },
  }

  pageEventsBack: HistorySources['pageEventsBack'] = async (_id, { seq: upTo }, limit) => {
    this.paged += 1
    const page = this.#between(Math.max(0, Math.min(upTo, this.floor) - limit), Math.min(upTo, this.floor), limit)
    return page.reverse()
  }

  #ask(): void {
    this.asked += 1
    this.onAsked()
  }

  #between(after: number, upTo: number, limit: number): StoredEvent[] {
    const numbers = Array.from({ length: Math.max(0, upTo - after) }, (_, index) => after + 1 + index)
    return numbers.slice(0, limit).map((n) => ({
      eventId: `1-${n}`,
      body: JSON.stringify({ type: n % 100 === 1 ? 'task_executing' : 'stream_start', n }),
    }))
  }
}

const seq = (eventId: string): number => Number(eventId.split('-')[1])
const upTo = (events: number): number[] => Array.from({ length: events }, (_, index) => index + 1)
const whole = () => new Reach('context', 128_000)
const read = async (store: Store, reach = whole(), signal = open) =>
  (await readHistory(store, sessionId, reach, signal)).map((event) => (event as unknown as { n: number }).n)

test('a store that is away for a moment is waited for', async () => {
  const store = new Store(7)
  store.onAsked = () => {
    if (store.asked <= 3) throw new Error('Connection is closed.')
  }

  expect(await read(store)).toEqual(upTo(7))
  expect(store.asked).toBeGreaterThan(3)
})

test('events that are trimmed between two reads of the log are read in Postgres', async () => {
  const store = new Store(1_200)
  store.onAsked = () => {
    // After the record and the first page: the second page would begin behind a hole.
    if (store.asked === 3) store.floor = 900
  }

  expect(await read(store)).toEqual(upTo(1_200))
})

test('a log that goes away as a whole while it is read is read in Postgres', async () => {
  const store = new Store(40)
  store.onAsked = () => {
    if (store.asked === 2) store.floor = 40
  }

  expect(await read(store)).toEqual(upTo(40))
})

test('nobody waits any more once the turn is told to end, nor for a store that refuses', async () => {
  const away = new Store(1)
  const turn = new AbortController()
  away.onAsked = () => {
    if (away.asked === 2) turn.abort('stopped')
    throw new Error('Connection is closed.')
  }
  const refusing = new Store(1)
  refusing.onAsked = () => {
    throw new StoreRefusal('WRONGTYPE')
  }

  await expect(read(away, whole(), turn.signal)).rejects.toBe('stopped')
  await expect(read(refusing)).rejects.toThrow('WRONGTYPE')
  expect(refusing.asked).toBe(1)
})

test('what is not needed is not read: neither in Postgres nor of the log', async () => {
  const store = new Store(5_250)
  store.floor = 5_220

  expect(await read(store, new Reach('task', 128_000))).toEqual(upTo(5_250).slice(5_200))
  expect(store.paged).toBe(1)
  store.floor = 4_000
  expect(await read(store, new Reach('task', 128_000))).toEqual(upTo(5_250).slice(5_200))
  expect(store.paged).toBe(1)
})
