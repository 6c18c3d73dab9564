import { expect, test } from 'vitest'
import { TurnSlots } from '../../../src/worker/turn-slots.js'

const never = new AbortController().signal

test('a waiting turn of higher priority gets the next slot, and equals are served in order', async () => {
  const slots = new TurnSlots(1)
  const first = slots.tryAcquire()
  const order: string[] = []
  const waiting = (['low', 'medium', 'critical', 'medium', 'high'] as const).map((priority, index) =>
    slots.acquire(priority, never).then((release) => {
      order.push(`${priority} ${index}`)
      release()
    }),
  )

  first?.()
  await Promise.all(waiting)

  expect(order).toEqual(['critical 2', 'high 4', 'medium 1', 'medium 3', 'low 0'])
})

test('a turn that is cancelled while it waits leaves its place to the next', async () => {
  const slots = new TurnSlots(1)
  const first = slots.tryAcquire()
  const cancelled = new AbortController()
  const gone = slots.acquire('critical', cancelled.signal)
  const next = slots.acquire('low', never)

  cancelled.abort(new Error('cancelled'))
  await expect(gone).rejects.toThrow('cancelled')
  first?.()

  await expect(next).resolves.toBeTypeOf('function')
})

test('a slot that is released twice is free once', () => {
  const slots = new TurnSlots(1)
  const release = slots.tryAcquire()
  release?.()
  release?.()

  expect([slots.tryAcquire(), slots.tryAcquire()].filter(Boolean)).toHaveLength(1)
})
