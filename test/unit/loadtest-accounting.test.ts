/**
 * The load generator's books: nothing that goes wrong between a request and its answer stays unseen.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { dialectOf, type Listener } from '../../loadtest/generator/dialect.js'
import { faultsOf, Ledger, noCounts } from '../../loadtest/generator/ledger.js'
import { Meter } from '../../loadtest/generator/meter.js'
import { ClosedLoop, OpenLoop, type Paced } from '../../loadtest/generator/pace.js'
import { type SeededRandom, seededRandom } from '../support/random.js'

const SESSION = 'session_0f2_01M82FWA3VWQ7BTFNF4EG34073'

const event = (type: string, number: number, request: number): string =>
  `{"type":"${type}","eventId":"3-${number}","sessionId":"${SESSION}","timestamp":"2026-11-22T20:41:35.141Z",` +
  `"requestId":"${request}","taskId":"task_1","result":{"success":true,"output":"x"}}`

/** What a right server says about requests 0 to `count` − 1 of one session: two events for each. */
const story = (count: number): string[] =>
  Array.from({ length: count }, (_, request) => [
    event('task_executing', request * 2 + 1, request),
    event('task_completed', request * 2 + 2, request),
  ]).flat()

interface Books {
  readonly ledger: Ledger
  readonly listener: Listener
  faults(): string[]
}

/** The books of a session that has sent `count` requests. */
function books(count: number): Books {
  const counts = noCounts()
  const ledger = new Ledger(counts)
  for (let request = 0; request < count; request++) ledger.sent(request, request)
  const listener: Listener = {
    ready: () => {},
    completed: (request) => void ledger.completed(request),
    refused: (request, code) => ledger.refused(request, code),
    failed: (reason) => expect.fail(reason),
    event: (number) => ledger.event(number),
    say: () => {},
  }
  return { ledger, listener, faults: () => faultsOf(counts, ledger.inFlight) }
}

function faultsAfter(count: number, frames: readonly string[]): string[] {
  const { listener, faults } = books(count)
  const service = dialectOf('service')
  for (const frame of frames) service.read(frame, listener)
  return faults()
}

const COUNT = 50
const isAnswer = (frame: string): boolean => frame.includes('task_completed')

/** The place of an answer that has another one behind it. */
function anyAnswer(random: SeededRandom): number {
  return random.integer(0, COUNT - 2) * 2 + 1
}

describe('the books of a session', () => {
  test('are right when everything is answered once and in order', () => {
    expect(faultsAfter(COUNT, story(COUNT))).toEqual([])
  })

  test('show a dropped answer, wherever it is', () => {
    const random = seededRandom('a dropped answer')

    const faults = faultsAfter(COUNT, story(COUNT).toSpliced(anyAnswer(random), 1))

    expect(faults).toContain('1 requests without an answer')
    expect(faults).toContain('1 gaps in the numbers of events')
  })

  test('show a doubled answer, at once or later', () => {
    const random = seededRandom('a doubled answer')
    const frames = story(COUNT)
    const from = anyAnswer(random)
    const to = random.integer(from + 1, frames.length)

    const faults = faultsAfter(COUNT, frames.toSpliced(to, 0, frames[from] ?? ''))

    expect(faults).toContain('1 answers came twice')
  })

  test('show answers that changed places, even when the numbers of the events were changed with them', () => {
    const random = seededRandom('answers out of order')
    const frames = story(COUNT)
    const first = anyAnswer(random)
    const requestOf = (at: number): number => (at - 1) / 2
    const second = first + 2

    const swapped = frames
      .with(first, event('task_completed', first + 1, requestOf(second)))
      .with(second, event('task_completed', second + 1, requestOf(first)))

    expect(faultsAfter(COUNT, swapped)).toEqual(['1 answers came out of order'])
  })

  test('show an answer to a request that was never sent', () => {
    const frames = [...story(COUNT), event('task_completed', COUNT * 2 + 1, COUNT)]

    expect(faultsAfter(COUNT, frames)).toEqual(['1 answers to requests that were never sent'])
  })

  test('show a lost event that nobody waits for', () => {
    const random = seededRandom('a lost event')
    const lost = anyAnswer(random) + 1
    const frames = story(COUNT).toSpliced(lost, 1)

    expect(frames.filter(isAnswer)).toHaveLength(COUNT)
    expect(faultsAfter(COUNT, frames)).toEqual(['1 gaps in the numbers of events'])
  })

  test('count refusals by code, and a refusal may overtake', () => {
    const refusal = '{"type":"error","error":"Busy","code":"busy","retryable":true,"requestId":"2"}'
    const frames = [refusal, ...story(2)]

    expect(faultsAfter(3, frames)).toEqual(['1 requests refused as busy'])
  })

  const refusal = (code: string, request: number): string =>
    `{"type":"error","error":"…","code":"${code}","retryable":true,"requestId":"${request}"}`

  test('tell a request whose outcome was not known, and that was done later, from one that was answered twice', () => {
    expect(faultsAfter(2, [refusal('outcome_unknown', 1), ...story(2)])).toEqual([
      '1 requests refused as outcome_unknown',
      '1 requests of unknown outcome were done later',
    ])
    expect(faultsAfter(2, [refusal('outcome_unknown', 1), ...story(2), event('task_completed', 5, 1)])).toContain(
      '1 answers came twice',
    )
  })

  test('show a request that was refused and done all the same', () => {
    expect(faultsAfter(2, [refusal('busy', 1), ...story(2)])).toEqual([
      '1 requests refused as busy',
      '1 requests were refused and done all the same',
    ])
  })
})

test('a request that was never answered counts as late as it is, and one outside the measured time not at all', () => {
  const meter = new Meter()
  const before = performance.now()
  meter.begin()

  meter.gaveUp(before - 1_000)
  meter.gaveUp(performance.now())

  expect(meter.latency.count).toBe(1)
  expect(meter.answers).toBe(0)
})

test('answers of every dialect are found by their request', () => {
  const answers = {
    mirror: dialectOf('mirror').request('session', 41),
    'socket-io': '42["task_completed",{"requestId":"41","payload":{"sessionId":"s","task":"x"}}]',
    service: event('task_completed', 1, 41),
  } as const

  for (const [name, frame] of Object.entries(answers)) {
    const { ledger, listener, faults } = books(0)
    ledger.sent(41, 0)
    dialectOf(name as keyof typeof answers).read(frame, listener)
    expect(faults(), name).toEqual([])
  }
})

describe('the pace', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  interface FakeSession extends Paced {
    readonly sent: { readonly request: number; readonly dueAt: number }[]
    answer(): void
  }

  function session(): FakeSession {
    const ledger = { inFlight: 0 }
    const sent: { request: number; dueAt: number }[] = []
    const send = (request: number, dueAt: number): void => {
      ledger.inFlight++
      sent.push({ request, dueAt })
    }
    return { isOpen: true, ledger, sent, send, answer: () => void ledger.inFlight-- }
  }

  test('of a closed loop sends the next request when the one before is answered, and not earlier', () => {
    const sessions = [session(), session()]
    const pace = new ClosedLoop(sessions)

    pace.start()
    vi.advanceTimersByTime(1_000)
    sessions[0]?.answer()
    pace.answered(0)

    expect(sessions.map(({ sent }) => sent.map(({ request }) => request))).toEqual([[0, 2], [1]])
  })

  test('of an open loop counts a late request from when it was due, not from when it was sent', () => {
    const [only] = [session()]
    const pace = new OpenLoop([only], 1_000)
    const startedAt = performance.now()

    pace.start()
    vi.advanceTimersByTime(100)
    expect(only.sent).toHaveLength(64)
    only.answer()
    pace.answered(0)

    expect(only.sent).toHaveLength(65)
    expect(only.sent.at(-1)?.dueAt).toBeCloseTo(startedAt + 64, 3)
    expect(performance.now() - startedAt).toBeCloseTo(100, 3)
  })

  test('of an open loop says what it could not send', () => {
    const sessions = [session(), session()]
    const pace = new OpenLoop(sessions, 2_000)
    const startedAt = performance.now()

    pace.start()
    vi.advanceTimersByTime(100)
    pace.stop()

    const sent = sessions.flatMap((each) => each.sent)
    expect(sent).toHaveLength(128)
    expect(pace.notSent()).toHaveLength(201 - 128)
    expect(Math.min(...pace.notSent()) - startedAt).toBeCloseTo(64, 3)
    expect(new Set(sent.map(({ request }) => request)).size).toBe(128)
  })
})
