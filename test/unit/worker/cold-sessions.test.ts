/**
 * How an owner brings sessions back: each by itself, for a bounded time, and only as long as the shard is its own.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import type { AcceptedCommand, Claim, Hydrated, Refused } from '../../../src/bus/bus.js'
import type { Whereabouts } from '../../../src/bus/dormant.js'
import { newSessionId } from '../../../src/protocol/ids.js'
import { ColdSessions } from '../../../src/worker/cold-sessions.js'

const SHARD = 3
const claim: Claim = { shard: SHARD, owner: 'worker@1', epoch: 3 }
const unknown: Whereabouts = { kind: 'unknown' }
const ID = newSessionId(SHARD)
/** Long enough for two questions. */
const WAIT_MS = 800

function fixture(
  find: (id: string) => Promise<Whereabouts>,
  hydrated: Hydrated | Refused = { status: 'ok', commands: [] },
) {
  const state = { claim: claim as Claim | undefined }
  const hydrate = vi.fn(async (_claim: Claim, _id: string, _found: Whereabouts) => hydrated)
  const deliver = vi.fn()
  const onRefused = vi.fn()
  const asked = vi.fn(find)
  const cold = new ColdSessions({
    commands: { hydrate },
    find: asked,
    claimOf: () => state.claim,
    deliver,
    onRefused,
    logger: { debug() {}, info() {}, warn() {}, error() {} },
    waitMs: WAIT_MS,
  })
  return { cold, state, asked, hydrate, deliver, onRefused }
}

const PATIENCE = { timeout: 15_000, interval: 5 } as const

const never = () => new Promise<Whereabouts>(() => undefined)

test('what Postgres knows goes to the bus, and the commands that it decided about to their sessions', async () => {
  const commands = [{ submission: { sessionId: ID } }] as unknown as AcceptedCommand[]
  const { cold, hydrate, deliver } = fixture(async () => unknown, { status: 'ok', commands })

  cold.wake(claim, ID)
  await vi.waitFor(() => expect(deliver).toHaveBeenCalled())
  await cold.stop()

  expect(hydrate.mock.calls).toEqual([[claim, ID, unknown]])
  expect(deliver.mock.calls).toEqual([[claim, commands]])
})

test('while Postgres fails it is asked again, and in the end the commands hear that it is not there', async () => {
  const { cold, asked, hydrate } = fixture(async () => {
    throw new Error('ECONNREFUSED')
  })
  const before = performance.now()

  cold.wake(claim, ID)
  await vi.waitFor(() => expect(hydrate).toHaveBeenCalled(), PATIENCE)

  expect(performance.now() - before).toBeGreaterThan(WAIT_MS - 1)
  expect(asked.mock.calls.length).toBeGreaterThan(1)
  expect(hydrate.mock.calls).toEqual([[claim, ID, { kind: 'unavailable' }]])
  await cold.stop()
})

test('a Postgres that does not answer at all costs no more time, less what the commands have waited before', async () => {
  const { cold, hydrate } = fixture(never)
  const before = performance.now()

  cold.wake(claim, ID, WAIT_MS - 100)
  await vi.waitFor(() => expect(hydrate).toHaveBeenCalled(), PATIENCE)

  // Timers of Node may be a millisecond early.
  expect(performance.now() - before).toBeGreaterThan(95)
  expect(hydrate.mock.calls).toEqual([[claim, ID, { kind: 'unavailable' }]])
  await cold.stop()
})

test('commands that come while their session is brought back are looked after once more', async () => {
  const answers: (() => void)[] = []
  const { cold, asked, hydrate } = fixture(() => new Promise((resolve) => answers.push(() => resolve(unknown))))

  for (let count = 0; count < 3; count++) cold.wake(claim, ID)
  expect(asked).toHaveBeenCalledTimes(1)
  answers[0]?.()
  await vi.waitFor(() => expect(answers).toHaveLength(2))
  answers[1]?.()
  await vi.waitFor(() => expect(hydrate).toHaveBeenCalledTimes(2))

  await cold.stop()
})

test('a shard that was lost meanwhile is left alone, and so is everything after the stop', async () => {
  const { cold, state, hydrate, onRefused } = fixture(async () => unknown)
  state.claim = undefined

  cold.wake(claim, ID)
  await sleep(1)
  expect(hydrate).not.toHaveBeenCalled()
  state.claim = claim
  await cold.stop()
  cold.wake(claim, ID)
  await sleep(1)

  expect([hydrate.mock.calls, onRefused.mock.calls]).toEqual([[], []])
})

test('a stop does not wait for a Postgres that is silent', async () => {
  const { cold, hydrate } = fixture(never)
  for (let count = 0; count < 40; count++) cold.wake(claim, newSessionId(SHARD))

  await cold.stop()

  expect(hydrate).not.toHaveBeenCalled()
})

test('so many questions are under way at a time and no more, and the others follow', async () => {
  let open = 0
  let most = 0
  const { cold, hydrate } = fixture(async () => {
    open += 1
    most = Math.max(most, open)
    await new Promise((resolve) => setTimeout(resolve, 10))
    open -= 1
    return unknown
  })
  for (let count = 0; count < 50; count++) cold.wake(claim, newSessionId(SHARD))

  await vi.waitFor(() => expect(hydrate).toHaveBeenCalledTimes(50), PATIENCE)
  expect(most).toBe(16)
  await cold.stop()
})

test('a refused epoch is told', async () => {
  const { cold, onRefused, deliver } = fixture(async () => unknown, { status: 'fenced', epoch: 9 })

  cold.wake(claim, ID)
  await vi.waitFor(() => expect(onRefused).toHaveBeenCalledWith(claim, { status: 'fenced', epoch: 9 }))
  await cold.stop()

  expect(deliver).not.toHaveBeenCalled()
})
