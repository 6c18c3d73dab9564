/**
 * When a client tries again: late enough that many of them do not bring down what has just come back, and as late as it is
 * asked to.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { ReconnectingLink } from '../../src/client/reconnect.js'
import type { WebSocketLike } from '../../src/client/web-socket.js'
import { seededRandom } from '../support/random.js'

const CLIENTS = 200
const SECOND_MS = 1_000
const MINUTES_MS = 120_000

type Listener = (event: { readonly data: unknown; readonly code: number; readonly reason: string }) => void

/** A connection whose life is what `live` makes of it. */
function socketClass(live: (socket: FakeSocket) => void) {
  return class extends FakeSocket {
    constructor() {
      super()
      queueMicrotask(() => live(this))
    }
  }
}

class FakeSocket implements WebSocketLike {
  readyState = 0
  readonly #listeners = new Map<string, Listener[]>()

  addEventListener(type: string, listener: Listener): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener])
  }

  send(): void {}

  close(code = 1006): void {
    if (this.readyState === 3) return
    this.readyState = 3
    this.say('close', { code })
  }

  open(): void {
    this.readyState = 1
    this.say('open')
  }

  say(type: string, event: { readonly data?: unknown; readonly code?: number } = {}): void {
    for (const listener of this.#listeners.get(type) ?? []) listener({ data: '', code: 1006, reason: '', ...event })
  }
}

interface Storm {
  /** When each attempt was made, in ms from the beginning. */
  readonly attempts: readonly number[]
  readonly links: readonly ReconnectingLink[]
}

/** Clients that begin together, against a server that does as `live` says. `isService` is what they think of a frame. */
function storm(live: (socket: FakeSocket) => void, isService = false, clients = CLIENTS): Storm {
  const attempts: number[] = []
  const startedAt = Date.now()
  const webSocket = socketClass((socket) => {
    attempts.push(Date.now() - startedAt)
    live(socket)
  })
  const links = Array.from({ length: clients }, () => {
    const handlers = { onOpen() {}, onLost() {}, onEnd() {}, onFrame: () => isService }
    return new ReconnectingLink({ urls: ['ws://here'], token: undefined, webSocket }, handlers)
  })
  for (const link of links) link.start()
  return { attempts, links }
}

const perSecond = ({ attempts }: Storm, fromMs: number): number =>
  attempts.filter((at) => at >= fromMs && at < fromMs + SECOND_MS).length

/** The worst second from `fromMs` on. */
function worst(seen: Storm, fromMs: number): number {
  let most = 0
  for (let at = fromMs; at < MINUTES_MS; at += SECOND_MS / 4) most = Math.max(most, perSecond(seen, at))
  return most
}

beforeEach(() => {
  vi.useFakeTimers()
  const random = seededRandom('reconnect')
  vi.spyOn(Math, 'random').mockImplementation(() => random.integer(0, 999_999) / 1_000_000)
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

describe('two hundred clients of a server that', () => {
  test('is away try less than five times in the first second, and then every other second at most', async () => {
    const seen = storm((socket) => socket.close())
    await vi.advanceTimersByTimeAsync(MINUTES_MS)
    console.info(`away: ${perSecond(seen, 0)} in the first second, then at most ${worst(seen, 5_000)} in one`)

    expect(perSecond(seen, 0)).toBeLessThan(5 * CLIENTS)
    expect(worst(seen, 5_000)).toBeLessThan(0.6 * CLIENTS)
    // They do not give up either.
    expect(perSecond(seen, MINUTES_MS - 10_000)).toBeGreaterThan(0)
    for (const link of seen.links) link.close()
  })

  test('lets them in, greets them and drops them are no faster than with one that is away', async () => {
    const seen = storm((socket) => {
      socket.open()
      socket.say('message', { data: 'a greeting' })
      setTimeout(() => socket.close(1006), 10)
    })
    await vi.advanceTimersByTimeAsync(MINUTES_MS)
    console.info(`flapping: ${perSecond(seen, 0)} in the first second, then at most ${worst(seen, 5_000)} in one`)

    expect(perSecond(seen, 0)).toBeLessThan(5 * CLIENTS)
    expect(worst(seen, 5_000)).toBeLessThan(0.6 * CLIENTS)
    for (const link of seen.links) link.close()
  })
})

test('a client waits as long as it was asked to, and a random while more', async () => {
  const sockets: FakeSocket[] = []
  const seen = storm(
    (socket) => {
      sockets.push(socket)
      socket.open()
    },
    true,
    CLIENTS,
  )
  await vi.advanceTimersByTimeAsync(0)
  for (const link of seen.links) link.waitBeforeNext(3_000)
  for (const socket of [...sockets]) socket.close(1012)
  await vi.advanceTimersByTimeAsync(2_999)
  const tooEarly = seen.attempts.length - CLIENTS
  await vi.advanceTimersByTimeAsync(201)
  const later = seen.attempts.slice(CLIENTS)

  expect(tooEarly).toBe(0)
  expect(later).toHaveLength(CLIENTS)
  expect(new Set(later).size, 'spread over more than one moment').toBeGreaterThan(20)
  for (const link of seen.links) link.close()
})

test('after a connection that served, the first new attempt comes within a tenth of a second', async () => {
  let served = 0
  const seen = storm(
    (socket) => {
      if (served++ % 4 !== 3) return socket.close()
      socket.open()
      socket.say('message', { data: 'an answer' })
      setTimeout(() => socket.close(), 10)
    },
    true,
    1,
  )
  await vi.advanceTimersByTimeAsync(MINUTES_MS)

  const gaps = seen.attempts.slice(1).map((at, index) => at - (seen.attempts[index] ?? 0))
  const afterServing = gaps.filter((_, index) => index % 4 === 3)
  expect(afterServing.length).toBeGreaterThan(10)
  expect(Math.max(...afterServing)).toBeLessThanOrEqual(110)
  for (const link of seen.links) link.close()
})
