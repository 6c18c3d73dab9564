/**
 * The meter of budgets, in process, on Redis and on Redis Cluster: reservations that hold under parallel calls.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { Meter, Reservation, Reserved, Settled } from '../../../src/budget/meter.js'
import { type Limit, windowOf } from '../../../src/budget/periods.js'
import { eachMeter, memoryMeters, onSingleRedis } from '../../support/meters.js'
import { seededRandom } from '../../support/random.js'

const TENANT = 'acme'
const THRESHOLDS = [50, 75, 80, 90, 100]
const orchestrator = (tokens: number, id = 'orch {1}'): Limit => ({
  scope: 'orchestrator',
  id,
  period: 'daily',
  tokens,
})
const tenant = (tokens: number): Limit => ({ scope: 'tenant', id: TENANT, period: 'weekly', tokens })
const session = (tokens: number): Limit => ({ scope: 'session', id: 's1', period: 'session', tokens })

const emptyLedger = { get: () => 0, has: () => true } as unknown as Reservation['ledger']

const asking = (limits: readonly Limit[], more: Partial<Reservation> = {}): Reservation => ({
  ...{ tenant: TENANT, place: 's1:1:0', attempt: 'a', want: 100, least: 1, ttlMs: 60_000, limits, ledger: emptyLedger },
  ...more,
})

const reserve = (meter: Meter, limits: readonly Limit[], more: Partial<Reservation> = {}): Promise<Reserved> =>
  meter.reserve(asking(limits, more))

function settle(
  meter: Meter,
  { place, attempt }: Pick<Reservation, 'place' | 'attempt'>,
  tokens: number,
  by: Reserved,
): Promise<Settled> {
  if (by.status !== 'granted') throw new Error(`not granted but ${by.status}`)
  return meter.settle({ tenant: TENANT, place, attempt, tokens, windows: by.windows, thresholds: THRESHOLDS })
}

const grantOf = (reply: Reserved): number => (reply.status === 'granted' ? reply.tokens : 0)

eachMeter((open) => {
  test('what a call did not use is there for the next one, and what it used too much is not', async () => {
    const { meters } = open()
    const [meter] = meters
    const limits = [orchestrator(1_000)]
    const first = { place: 's1:1:0', attempt: 'a' }

    const granted = await reserve(meter, limits, { ...first, want: 900 })
    expect(grantOf(await reserve(meter, limits, { place: 's2:1:0', want: 900 }))).toBe(100)
    await settle(meter, first, 300, granted)
    const third = { place: 's3:1:0', attempt: 'a', want: 900 }
    const more = await reserve(meter, limits, third)
    expect(grantOf(more)).toBe(600)
    await settle(meter, third, 800, more)

    expect(await reserve(meter, limits, { place: 's4:1:0' })).toMatchObject({
      status: 'spent',
      window: { used: 1_100, held: 100 },
    })
  })

  test('B-04: 64 parallel calls over two workers never get more than there is', async () => {
    const { meters } = open()
    const limits = [orchestrator(20_000), tenant(10_000), session(50_000)]

    const replies = await Promise.all(
      Array.from({ length: 64 }, (_, i) =>
        reserve(meters[i % 2] as Meter, limits, { place: `s${i}:1:0`, want: 600, least: 600 }),
      ),
    )

    expect(replies.filter(({ status }) => status === 'granted')).toHaveLength(16)
    expect(replies.filter(({ status }) => status === 'held')).toHaveLength(48)
    expect(replies.reduce((sum, it) => sum + grantOf(it), 0)).toBe(9_600)
  })

  test('parallel calls that are settled add up exactly', async () => {
    const { meters } = open()
    const limits = [orchestrator(1_000_000), tenant(1_000_000)]
    const one = async (i: number) => {
      const meter = meters[i % 2] as Meter
      const call = { place: `s${i}:1:0`, attempt: 'a', want: 600 }
      await settle(meter, call, 100 + i, await reserve(meter, limits, call))
    }

    await Promise.all(Array.from({ length: 64 }, (_, i) => one(i)))

    const state = await reserve(meters[0], limits, { want: 0 })
    expect(state).toMatchObject({
      windows: [
        { used: 8_416, held: 0 },
        { used: 8_416, held: 0 },
      ],
    })
  })

  test('a reservation and a settlement that are told again count once', async () => {
    const { meters } = open()
    const limits = [orchestrator(1_000)]
    const call = { place: 's1:1:0', attempt: 'a', want: 400 }

    const first = await reserve(meters[0], limits, call)
    const again = await reserve(meters[1], limits, call)
    expect([grantOf(first), grantOf(again)]).toEqual([400, 400])
    expect((await settle(meters[0], call, 350, first)).windows).toMatchObject([{ used: 350, held: 0 }])
    expect((await settle(meters[1], call, 350, first)).windows).toBeUndefined()

    expect(await reserve(meters[0], limits, { want: 0 })).toMatchObject({ windows: [{ used: 350, held: 0 }] })
  })

  test('another attempt at the same step takes the place of the one that a crash left', async () => {
    const { meters } = open()
    const limits = [orchestrator(1_000)]
    const left = await reserve(meters[0], limits, { attempt: 'of a dead worker', want: 900 })

    const next = { place: 's1:1:0', attempt: 'of its successor', want: 900 }
    const granted = await reserve(meters[1], limits, next)
    expect(granted).toMatchObject({ tokens: 900, windows: [{ held: 900 }] })
    await settle(meters[0], { place: 's1:1:0', attempt: 'of a dead worker' }, 200, left)

    expect(await reserve(meters[1], limits, next)).toMatchObject({ tokens: 900, windows: [{ used: 200, held: 900 }] })
  })

  test('a reservation that expires gives back what it held, and its call still counts', async () => {
    const { meters } = open()
    const limits = [orchestrator(1_000)]
    const call = { place: 's1:1:0', attempt: 'a', want: 1_000 }
    const granted = await reserve(meters[0], limits, { ...call, ttlMs: 30 })
    expect(await reserve(meters[1], limits, { place: 's2:1:0' })).toMatchObject({ status: 'held' })

    await sleep(100)
    expect(grantOf(await reserve(meters[1], limits, { place: 's2:1:0', want: 500 }))).toBe(500)
    await settle(meters[0], call, 400, granted)

    expect(await reserve(meters[1], limits, { want: 0 })).toMatchObject({ windows: [{ used: 400, held: 500 }] })
  })

  test('a call that one budget refuses holds nothing of the others', async () => {
    const { meters } = open()
    const [meter] = meters
    await reserve(meter, [tenant(50)], { place: 's9:1:0', want: 50 })

    expect(await reserve(meter, [orchestrator(1_000), tenant(50)])).toMatchObject({
      status: 'held',
      window: { scope: 'tenant' },
    })

    expect(await reserve(meter, [orchestrator(1_000)], { want: 0 })).toMatchObject({ windows: [{ used: 0, held: 0 }] })
  })

  test('B-06: a window that the store does not know begins at what the ledger says', async () => {
    const { meters } = open()
    const limits = [orchestrator(1_000), tenant(5_000)]
    const now = Date.now()
    const names = limits.map((limit) => windowOf(limit, now).name)

    const unknown = await reserve(meters[0], limits, { ledger: new Map() })
    expect(unknown).toMatchObject({ status: 'missing', windows: names.map((name) => ({ name })) })
    const ledger = new Map([
      [names[0] as string, 700],
      [names[1] as string, 900],
    ])
    const granted = await reserve(meters[0], limits, { ledger, want: 500 })

    expect(granted).toMatchObject({ tokens: 300, windows: [{ used: 700 }, { used: 900 }] })
    expect(await reserve(meters[1], limits, { ledger: new Map(), want: 0 })).toMatchObject({ status: 'granted' })
  })

  test('counts that the store has lost come back from the ledger before the next call', async () => {
    const { meters, forget } = open()
    const limits = [orchestrator(1_000)]
    const call = { place: 's1:1:0', attempt: 'a', want: 600 }
    await settle(meters[0], call, 600, await reserve(meters[0], limits, call))

    const [meter] = await forget()
    const reply = await reserve(meter, limits, { ledger: new Map(), place: 's2:1:0' })

    expect(reply).toMatchObject({ status: 'missing' })
    const ledger = new Map([[windowOf(orchestrator(1_000), Date.now()).name, 600]])
    expect(await reserve(meter, limits, { ledger, want: 500 })).toMatchObject({ tokens: 400 })
  })

  test('where the ledger cannot be asked, the count goes on and asks again next time', async () => {
    const { meters } = open()
    const limits = [orchestrator(1_000)]
    const { name } = windowOf(limits[0] as Limit, Date.now())

    expect(await reserve(meters[0], limits, { ledger: new Map([[name, undefined]]), want: 200 })).toMatchObject({
      tokens: 200,
    })

    expect(await reserve(meters[0], limits, { ledger: new Map(), place: 's2:1:0' })).toMatchObject({
      status: 'missing',
    })
    const told = await reserve(meters[0], limits, { ledger: new Map([[name, 500]]), place: 's2:1:0', want: 900 })
    expect(told).toMatchObject({ tokens: 300, windows: [{ used: 500, held: 500 }] })
  })

  test('a count from another server is checked against the ledger and never lowered by it', async () => {
    const { meters, pretendServer } = open()
    if (!pretendServer) return
    const limits = [orchestrator(1_000)]
    const { name } = windowOf(limits[0] as Limit, Date.now())
    const call = { place: 's1:1:0', attempt: 'a', want: 600 }
    await settle(meters[0], call, 600, await reserve(meters[0], limits, call))
    await pretendServer()

    expect(await reserve(meters[0], limits, { ledger: new Map(), place: 's2:1:0' })).toMatchObject({
      status: 'missing',
    })
    expect(await reserve(meters[0], limits, { ledger: new Map([[name, 400]]), want: 0 })).toMatchObject({
      windows: [{ used: 600 }],
    })
    await pretendServer()
    expect(await reserve(meters[0], limits, { ledger: new Map([[name, 800]]), want: 0 })).toMatchObject({
      windows: [{ used: 800 }],
    })
  })

  test('a count that began anew while calls were under way never holds less than nothing', async () => {
    const { meters, loseCounts } = open()
    if (!loseCounts) return
    const limits = [orchestrator(1_000)]
    const [first, second] = ['s1:1:0', 's2:1:0'].map((place) => ({ place, attempt: 'a', want: 600, ttlMs: 50 }))
    if (!first || !second) throw new Error('no calls')
    const granted = await reserve(meters[0], limits, first)
    await reserve(meters[0], limits, { ...second, want: 300 })
    await loseCounts()
    await reserve(meters[0], limits, { place: 's3:1:0', want: 100 })

    await settle(meters[0], first, 200, granted)
    await sleep(100)

    const next = await reserve(meters[1], limits, { place: 's4:1:0', want: 5_000 })
    expect(next).toMatchObject({ status: 'granted', windows: [{ used: 200, held: 800 }] })
  })

  test('B-02: each threshold is told once, to one of the workers, also when a call passes several', async () => {
    const { meters } = open()
    const limits = [orchestrator(6_400)]
    const one = async (i: number) => {
      const call = { place: `s${i}:1:0`, attempt: 'a', want: 100 }
      return settle(meters[i % 2] as Meter, call, 100, await reserve(meters[i % 2] as Meter, limits, call))
    }

    const settled = await Promise.all(Array.from({ length: 64 }, (_, i) => one(i)))
    const told = settled.flatMap(({ crossed }) => crossed.map(({ threshold }) => threshold))
    expect(told.sort((a, b) => a - b)).toEqual(THRESHOLDS)

    const other = [orchestrator(100, 'other')]
    const call = { place: 'o:1:0', attempt: 'a' }
    const jump = await settle(meters[0], call, 85, await reserve(meters[0], other, call))
    expect(jump.crossed.map(({ threshold }) => threshold)).toEqual([50, 75, 80])
  })

  test('a refusal tells once that the budget is spent', async () => {
    const { meters } = open()
    const limits = [orchestrator(100)]
    const call = { place: 's1:1:0', attempt: 'a' }
    await settle(meters[0], call, 97, await reserve(meters[0], limits, call))

    const refusals = [await reserve(meters[0], limits, { least: 10 }), await reserve(meters[1], limits, { least: 10 })]

    expect(refusals.map((it) => ('crossed' in it ? it.crossed.length : -1))).toEqual([1, 0])
  })

  test('a higher limit is told of anew only above what was used of it', async () => {
    const { meters } = open()
    const first = { place: 's1:1:0', attempt: 'a' }
    const low = await settle(meters[0], first, 95, await reserve(meters[0], [orchestrator(100)], first))
    expect(low.crossed).toHaveLength(4)

    const second = { place: 's1:1:1', attempt: 'a' }
    const high = await settle(meters[0], second, 20, await reserve(meters[0], [orchestrator(200)], second))

    expect(high.crossed.map(({ threshold }) => threshold)).toEqual([50])
  })
})

eachMeter((open) => {
  test('random calls of two workers are answered as in one process', async () => {
    const source = seededRandom('random calls')
    const draw = (below: number) => source.integer(0, below - 1)
    const { meters } = open()
    const [model] = memoryMeters()
    const limits = [orchestrator(3_000), tenant(5_000), session(4_000)]
    const granted: { call: Reservation; windows: Extract<Reserved, { status: 'granted' }>['windows'] }[] = []
    const plain = (reply: object) => JSON.parse(JSON.stringify({ ...reply, at: 0 }))

    for (let step = 0; step < 150; step++) {
      const meter = meters[draw(2)] as Meter
      if (draw(3) > 0 || granted.length === 0) {
        const call = asking(limits, {
          place: `s1:1:${draw(6)}`,
          attempt: `a${draw(3)}`,
          want: draw(400),
          least: draw(40),
        })
        const [reply, expected] = [await meter.reserve(call), await model.reserve(call)]
        expect(plain(reply), `step ${step}`).toEqual(plain(expected))
        if (reply.status === 'granted') granted.push({ call, windows: reply.windows })
      } else {
        const { call, windows } = granted[draw(granted.length)] as (typeof granted)[number]
        const what = { ...call, tokens: draw(200), windows, thresholds: THRESHOLDS }
        const [reply, expected] = [await meter.settle(what), await model.settle(what)]
        expect(plain(reply), `step ${step}`).toEqual(plain(expected))
      }
    }
  })
})

onSingleRedis((open) => {
  test.each([-30, -1, 1, 30])(
    'a clock that is %i hours wrong changes nothing: the server decides which day it is',
    async (hours) => {
      const right = Date.now
      const now = vi.spyOn(Date, 'now').mockImplementation(() => right() + hours * 3_600_000)
      onTestFinished(() => now.mockRestore())

      const { meters } = open()
      const granted = await reserve(meters[0], [orchestrator(1_000)])

      const { start, end } = windowOf(orchestrator(1_000), right())
      expect(granted).toMatchObject({ status: 'granted', windows: [{ start, end }] })
      expect(Math.abs((granted.status === 'granted' ? granted.at : 0) - right())).toBeLessThan(60_000)
    },
  )
})
