/**
 * Who gets the slots of a worker, and in which order.
 */
import { expect, test } from 'vitest'
import type { Priority, SessionType } from '../../../src/protocol/session.js'
import { type Applicant, type ReleaseSlot, SLOT_WEIGHTS, TurnSlots } from '../../../src/worker/turn-slots.js'
import { seededRandom } from '../../support/random.js'

const never = () => new AbortController().signal
const turn = (tenant: string, priority: Priority = 'medium', type: SessionType = 'llm'): Applicant => ({
  ...{ tenant, priority, type },
})

/** Everybody who waits runs to its end, one after the other, as soon as it may. */
async function drain(slots: TurnSlots, applicants: readonly Applicant[]): Promise<Applicant[]> {
  const order: Applicant[] = []
  const all = applicants.map((applicant) =>
    slots.acquire(applicant, never()).then((release) => {
      order.push(applicant)
      release()
    }),
  )
  await Promise.all(all)
  return order
}

test('a waiting turn of higher priority gets the next slot, and equals are served in order', async () => {
  const slots = new TurnSlots(1)
  const first = slots.tryAcquire(turn('a'))
  const waiting = (['low', 'medium', 'critical', 'medium', 'high'] as const).map((priority) => turn('a', priority))
  const drained = drain(slots, waiting)

  first?.()

  expect(await drained).toEqual([2, 4, 1, 3, 0].map((index) => waiting[index]))
})

test('a thousand waiting turns of a tenant delay the first one of another by one round', async () => {
  const slots = new TurnSlots(1)
  const first = slots.tryAcquire(turn('crowd'))
  const drained = drain(slots, [...Array.from({ length: 1_000 }, () => turn('crowd')), turn('single')])

  first?.()

  const order = await drained
  expect(order.findIndex(({ tenant }) => tenant === 'single')).toBeLessThanOrEqual(1)
  expect(order).toHaveLength(1_001)
})

test('tenants get the same slots, whatever their turns weigh', async () => {
  const slots = new TurnSlots(8)
  const first = slots.tryAcquire(turn('z', 'medium', 'claude-flow'))
  const heavy = Array.from({ length: 50 }, () => turn('heavy', 'medium', 'claude-code'))
  const drained = drain(slots, [...heavy, ...Array.from({ length: 400 }, () => turn('light'))])

  first?.()

  const half = (await drained).slice(0, 125)
  const taken = (tenant: string) =>
    half.filter((it) => it.tenant === tenant).reduce((sum, { type }) => sum + SLOT_WEIGHTS[type], 0)
  expect(Math.abs(taken('heavy') - taken('light'))).toBeLessThanOrEqual(SLOT_WEIGHTS['claude-flow'])
})

test('a turn takes as many slots as it weighs', () => {
  const slots = new TurnSlots(9)
  const code = slots.tryAcquire(turn('a', 'medium', 'claude-code'))
  expect(slots.tryAcquire(turn('a', 'medium', 'claude-flow'))).toBeUndefined()
  expect(slots.tryAcquire(turn('b', 'medium', 'claude-code'))).toBeDefined()
  expect(slots.tryAcquire(turn('b'))).toBeDefined()
  expect(slots.tryAcquire(turn('b'))).toBeUndefined()
  code?.()
  expect(slots.tryAcquire(turn('a', 'medium', 'claude-code'))).toBeDefined()
})

test('a turn that is heavier than the worker runs alone', async () => {
  const slots = new TurnSlots(2)
  const small = slots.tryAcquire(turn('a'))
  const large = slots.acquire(turn('b', 'medium', 'claude-flow'), never())
  small?.()

  const release = await large

  expect(slots.tryAcquire(turn('a'))).toBeUndefined()
  release()
  expect(slots.tryAcquire(turn('a'))).toBeDefined()
})

test('light turns do not keep a heavy one out for ever', async () => {
  const slots = new TurnSlots(4)
  const light = Array.from({ length: 4 }, () => slots.tryAcquire(turn('light')))
  let entered = false
  const heavy = slots.acquire(turn('heavy', 'medium', 'claude-code'), never()).then((release) => {
    entered = true
    return release
  })
  // Each that leaves is followed by another one that asks.
  const followers = light.map((release) => {
    release?.()
    expect(slots.tryAcquire(turn('light'))).toBeUndefined()
    return slots.acquire(turn('light'), never())
  })
  const release = await heavy

  expect(entered).toBe(true)
  release()
  expect(await Promise.all(followers)).toHaveLength(4)
})

test('a turn that is cancelled while it waits leaves its place to the next', async () => {
  const slots = new TurnSlots(1)
  const first = slots.tryAcquire(turn('a'))
  const cancelled = new AbortController()
  const gone = slots.acquire(turn('a', 'critical'), cancelled.signal)
  const next = slots.acquire(turn('a', 'low'), never())

  cancelled.abort(new Error('cancelled'))
  await expect(gone).rejects.toThrow('cancelled')
  expect(slots.waiting).toBe(1)
  first?.()

  await expect(next).resolves.toBeTypeOf('function')
})

test('who waited behind a heavy turn that is cancelled goes on at once', async () => {
  const slots = new TurnSlots(4)
  slots.tryAcquire(turn('a'))
  const cancelled = new AbortController()
  const heavy = slots.acquire(turn('a', 'high', 'claude-code'), cancelled.signal)
  const light = slots.acquire(turn('b'), never())

  cancelled.abort(new Error('cancelled'))

  await expect(heavy).rejects.toThrow('cancelled')
  await expect(light).resolves.toBeTypeOf('function')
})

test('a turn that was cancelled before it waits is not let in', async () => {
  const slots = new TurnSlots(1)
  await expect(slots.acquire(turn('a'), AbortSignal.abort(new Error('early')))).rejects.toThrow('early')
  expect(slots.tryAcquire(turn('a'))).toBeDefined()
})

test('a slot that is released twice is free once', () => {
  const slots = new TurnSlots(1)
  const release = slots.tryAcquire(turn('a'))
  release?.()
  release?.()

  expect([slots.tryAcquire(turn('a')), slots.tryAcquire(turn('a'))].filter(Boolean)).toHaveLength(1)
})

test('in any order of asking, cancelling and leaving the worker is never overfull, and everybody gets in', async () => {
  const { next, integer, pick } = seededRandom('turn slots')
  const capacity = 10
  const slots = new TurnSlots(capacity)
  let used = 0
  let ended = 0
  const running: (() => void)[] = []
  const began =
    ({ type }: Applicant) =>
    (release: ReleaseSlot) => {
      used += SLOT_WEIGHTS[type]
      expect(used).toBeLessThanOrEqual(capacity)
      running.push(() => {
        used -= SLOT_WEIGHTS[type]
        ended += 1
        release()
      })
    }
  const total = 2_000
  for (let n = 0; n < total; n++) {
    const applicant = turn(
      pick(['a', 'b', 'c']),
      pick(['critical', 'high', 'medium', 'low']),
      pick(['llm', 'claude-code', 'claude-flow']),
    )
    const controller = new AbortController()
    void slots.acquire(applicant, controller.signal).then(began(applicant), () => {
      ended += 1
    })
    if (next() < 0.1) controller.abort()
    await Promise.resolve()
    if (next() < 0.4 && running.length > 0) running.splice(integer(0, running.length - 1), 1)[0]?.()
  }
  while (ended < total) {
    // Whoever was let in begins with the next microtask.
    await Promise.resolve()
    const end = running.shift()
    expect(end === undefined && slots.waiting > 0).toBe(false)
    end?.()
  }
  expect(slots.waiting).toBe(0)
})

test('no more turns run at once than may, however light they are', async () => {
  const slots = new TurnSlots(100, 2)
  const running = [slots.tryAcquire(turn('a')), slots.tryAcquire(turn('b'))]
  expect(slots.tryAcquire(turn('c'))).toBeUndefined()
  const third = slots.acquire(turn('c'), never())

  running[0]?.()

  await third
  expect(slots.tryAcquire(turn('d')), 'the third has the place').toBeUndefined()
})

test('where less is allowed than runs, nothing is cut and the next turn waits until it fits', async () => {
  const slots = new TurnSlots(3)
  const running = [1, 2, 3].map(() => slots.tryAcquire(turn('a')))
  let granted = false
  const next = slots.acquire(turn('a'), never()).then(() => (granted = true))

  slots.resize(1)
  running[0]?.()
  running[1]?.()
  await Promise.resolve()
  const tooEarly = granted
  running[2]?.()

  await next
  expect([tooEarly, slots.capacity]).toEqual([false, 1])
})

test('where more is allowed, whoever waits begins at once', async () => {
  const slots = new TurnSlots(4, 1)
  slots.tryAcquire(turn('a'))
  const [second, third] = [slots.acquire(turn('a'), never()), slots.acquire(turn('b'), never())]

  slots.resize(4, 3)

  await Promise.all([second, third])
  expect(slots.waiting).toBe(0)
})

test('a heavy turn that waits runs alone when the worker has become smaller than it', async () => {
  const slots = new TurnSlots(4)
  const first = slots.tryAcquire(turn('a'))
  const heavy = slots.acquire(turn('a', 'medium', 'claude-code'), never())

  slots.resize(2)
  first?.()

  await heavy
  expect(slots.tryAcquire(turn('a'))).toBeUndefined()
})
