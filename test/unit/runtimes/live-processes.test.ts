/**
 * Which processes of Claude Code are kept: CLAUDE_MAX_PROCESSES is `max`, CLAUDE_IDLE_TIMEOUT is `idleMs`.
 */
import { expect, test, vi } from 'vitest'
import type { ClaudeProcess } from '../../../src/runtimes/claude/claude-process.js'
import { type LiveLimits, LiveProcesses } from '../../../src/runtimes/claude/live-processes.js'

/** Processes that only know whether they live, and how they were ended. */
function fixture(limits: Partial<{ max: number; idleMs: number }> = {}) {
  const live = new LiveProcesses(Object.assign(limits, { max: 2, idleMs: 60_000, ...limits }) as LiveLimits)
  const ended: string[] = []
  const started: string[] = []
  const take = (id: string, version = '1', signal = new AbortController().signal) =>
    live.take(id, version, async () => fake(id), signal)
  const fake = (id: string): ClaudeProcess => {
    const process = {
      isUsable: true,
      close: async (how: string) => {
        process.isUsable = false
        ended.push(`${id} ${how}`)
      },
    }
    started.push(id)
    return process as unknown as ClaudeProcess
  }
  return { live, ended, started, take }
}

test('a session gets its own process back, and another version of it a new one', async () => {
  const { live, take, ended, started } = fixture()
  const first = await take('a')
  await live.release('a', first, true)
  expect(await take('a')).toBe(first)
  await live.release('a', first, true)

  expect(await take('a', '2')).not.toBe(first)
  expect(ended).toEqual(['a kill'])
  expect(started).toEqual(['a', 'a'])
})

test('the process that was used longest ago makes room for a new one', async () => {
  const { live, take, ended } = fixture()
  for (const id of ['a', 'b', 'a']) await live.release(id, await take(id), true)

  await take('c')

  expect(ended).toEqual(['b gently'])
  expect(live.count).toBe(2)
})

test('when all are at work the next turn waits until one is done, and not beyond its cancellation', async () => {
  const { live, take, started } = fixture()
  const a = await take('a')
  await take('b')
  const cancelled = new AbortController()
  const impatient = take('c', '1', cancelled.signal)
  const patient = take('d')
  cancelled.abort(new Error('cancelled'))
  await expect(impatient).rejects.toThrow('cancelled')
  expect(started).toEqual(['a', 'b'])

  await live.release('a', a, true)

  await patient
  expect(started).toEqual(['a', 'b', 'd'])
  expect(live.count).toBe(2)
})

test('many turns at once do not start more than there may be', async () => {
  const { live, take } = fixture({ max: 3 })
  let most = 0
  await Promise.all(
    Array.from({ length: 12 }, async (_, n) => {
      const process = await take(`s${n}`)
      most = Math.max(most, live.count)
      await live.release(`s${n}`, process, n % 2 === 0)
    }),
  )
  expect(most).toBeLessThanOrEqual(3)
})

test('a process without work ends after a while', async () => {
  const { live, take, ended } = fixture({ idleMs: 20 })
  const a = await take('a')
  await live.release('a', a, true)
  await vi.waitFor(() => expect(ended).toEqual(['a gently']))
  expect(live.count).toBe(0)
})

test('a session without a next task keeps no process: now, or when its turn has ended', async () => {
  const { live, take, ended } = fixture()
  await live.release('a', await take('a'), true)
  const b = await take('b')
  live.forget('a')
  live.forget('b')
  live.forget('never seen')
  await vi.waitFor(() => expect(ended).toEqual(['a gently']))

  await live.release('b', b, true)

  expect(ended).toEqual(['a gently', 'b kill'])
})

test('a process that failed its turn is not kept, and none outlives the stop', async () => {
  const { live, take, ended } = fixture()
  await live.release('a', await take('a'), false)
  await take('b')
  await live.stop()
  expect(ended).toEqual(['a kill', 'b gently'])
  await expect(take('c')).rejects.toThrow('stops')
  expect(ended).toEqual(['a kill', 'b gently', 'c kill'])
})

test('limits that change count from then on: for who wants a process, and for who has none to do', async () => {
  const limits = { max: 1, idleMs: 60_000 }
  const { take, live, ended, started } = fixture(limits)
  const a = await take('a')
  const waits = take('b')
  limits.max = 2
  limits.idleMs = 0

  const c = await take('c')
  await live.release('c', c, true)
  await vi.waitFor(() => expect(ended).toEqual(['c gently']))
  await live.release('a', a, true)
  await waits

  expect(started).toEqual(['a', 'c', 'b'])
})
