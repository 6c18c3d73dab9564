/**
 * No more messages in a minute than Neolith takes, by a clock of the test.
 */
import { expect, test } from 'vitest'
import { Pace } from '../../../src/neolith/pace.js'

const never = new AbortController().signal

/** Time that passes only where somebody sleeps. */
function paced(perMinute: number) {
  const time = { ms: 0 }
  const pace = new Pace(perMinute, {
    now: () => time.ms,
    sleep: async (ms, signal) => {
      signal.throwIfAborted()
      time.ms += ms
    },
  })
  /** Times in s at which messages may go. */
  const times = async (count: number): Promise<number[]> => {
    const before = time.ms
    const at: number[] = []
    const all = Array.from({ length: count }, () => pace.next(never).then(() => at.push((time.ms - before) / 1_000)))
    await Promise.all(all)
    return at.map((s) => Math.round(s * 10) / 10)
  }
  return { pace, time, times }
}

test('some go at once, the others one by one', async () => {
  expect(await paced(8).times(5)).toEqual([0, 0, 7.5, 15, 22.5])
})

test('what is not used is not saved for later', async () => {
  const { time, times } = paced(8)
  time.ms += 600_000

  expect(await times(3)).toEqual([0, 0, 7.5])
})

test('a new limit holds from the next message on', async () => {
  const { pace, time, times } = paced(8)
  await times(2)

  pace.perMinute = 60
  time.ms += 60_000

  expect(await times(17)).toEqual([...Array(15).fill(0), 1, 2])
})

test('whoever gives up keeps nobody waiting', async () => {
  const { pace } = paced(4)
  await pace.next(never)
  const given = pace.next(AbortSignal.abort()).catch((error: Error) => error.name)

  expect(await given).toBe('AbortError')
  await pace.next(never)
})
