/**
 * A bell tells of the shards that it was given, when commands wait there, and of no others.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Bus, CommandBell } from '../../../src/bus/bus.js'
import { newNodeId, newSessionId } from '../../../src/protocol/ids.js'
import { ARRIVAL, submission, TestOwner } from '../../support/bus-actors.js'
import { eachBus } from '../../support/bus-fixtures.js'

const [FIRST, SECOND, THIRD] = [50, 51, 52] as const
const OUTBOX = 'edge@1-1'
/** On a busy machine. Nothing but a ring makes a bell tell: it is the worker that looks at all of its shards now and then. */
const AT_ONCE = { timeout: 10_000, interval: 5 } as const
const turnOfTheLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

eachBus((fixture) => {
  /** An owner of shards whose bell writes down what it tells. */
  async function listen(bus: Bus, ...shards: readonly number[]) {
    const owner = newNodeId('worker')
    for (const shard of shards) await bus.log.claim({ shard, owner, epoch: 1 })
    const told: number[] = []
    const bell = bus.commands.openBell(
      owner,
      (shard) => void told.push(shard),
      () => undefined,
    )
    return { owner, told, bell }
  }

  async function ring(bus: Bus, shard: number): Promise<void> {
    expect(await bus.commands.submit(submission(newSessionId(shard), OUTBOX))).toEqual({ status: 'ok' })
  }

  /** Adds shards and waits until their bell is there, so that what is told next was rung. */
  async function addAll(bell: CommandBell, told: number[], bus: Bus, ...shards: readonly number[]): Promise<void> {
    told.length = 0
    for (const shard of shards) bell.add(shard)
    await expect.poll(() => new Set(told), ARRIVAL).toEqual(new Set(shards))
    for (const shard of shards) {
      const before = told.length
      await ring(bus, shard)
      await expect.poll(() => told.slice(before), ARRIVAL).toContain(shard)
    }
    told.length = 0
  }

  test('a shard is told of at once when it is added, also when nothing waits', async () => {
    const { bus } = await fixture.open()
    const { told, bell } = await listen(bus, FIRST)

    bell.add(FIRST)
    expect(told).toEqual([])

    await expect.poll(() => told[0], AT_ONCE).toBe(FIRST)
    await bell.stop()
  })

  test('a command that comes while the bell is being hung is told of at once', async () => {
    const { bus } = await fixture.open()
    const { told, bell } = await listen(bus, FIRST)
    bell.add(FIRST)
    await ring(bus, FIRST)
    const before = told.length

    await expect.poll(() => told.length, AT_ONCE).toBeGreaterThan(before)
    await bell.stop()
  })

  test('each command rings, for its own shard alone', async () => {
    const { bus } = await fixture.open()
    const { told, bell } = await listen(bus, FIRST, SECOND)
    await addAll(bell, told, bus, FIRST, SECOND)

    await ring(bus, SECOND)
    await expect.poll(() => told, AT_ONCE).toContain(SECOND)
    await ring(bus, FIRST)
    await expect.poll(() => told, AT_ONCE).toContain(FIRST)
    await bell.stop()
  })

  test('many shards that get commands in one turn are all told of', async () => {
    const { bus } = await fixture.open()
    const shards = Array.from({ length: 40 }, (_, index) => 100 + index)
    const { told, bell } = await listen(bus, ...shards)
    await addAll(bell, told, bus, ...shards)

    await Promise.all(shards.map((shard) => ring(bus, shard)))

    await expect.poll(() => [...new Set(told)].sort(), AT_ONCE).toEqual(shards)
    await bell.stop()
  })

  test('a shard that is added or removed counts at once, also while the bell waits for another', async () => {
    const { bus } = await fixture.open()
    const { told, bell } = await listen(bus, FIRST, SECOND)
    await addAll(bell, told, bus, FIRST)
    await ring(bus, SECOND)

    bell.add(SECOND)
    await expect.poll(() => told, AT_ONCE).toContain(SECOND)
    bell.remove(FIRST)
    told.length = 0
    await ring(bus, FIRST)
    await ring(bus, SECOND)

    await expect.poll(() => told, AT_ONCE).toContain(SECOND)
    await bell.stop()
    expect(told).not.toContain(FIRST)
  })

  test('a shard that is removed in the turn in which it was added is not told of', async () => {
    const { bus } = await fixture.open()
    const { told, bell } = await listen(bus, FIRST, SECOND)

    bell.add(FIRST)
    bell.add(SECOND)
    bell.remove(FIRST)

    await expect.poll(() => told, AT_ONCE).toContain(SECOND)
    expect(told).not.toContain(FIRST)
    await bell.stop()
  })

  test('an owner hears nothing of a shard that another one has claimed and added', async () => {
    const { bus } = await fixture.open()
    const [one, other] = [await listen(bus, FIRST, THIRD), await listen(bus, SECOND)]
    await addAll(one.bell, one.told, bus, FIRST, THIRD)
    await addAll(other.bell, other.told, bus, SECOND)
    one.told.length = 0

    await ring(bus, SECOND)
    await expect.poll(() => other.told, AT_ONCE).toContain(SECOND)
    await ring(bus, THIRD)
    await expect.poll(() => one.told, AT_ONCE).toContain(THIRD)

    expect(one.told).not.toContain(SECOND)
    expect(other.told).not.toContain(THIRD)
    await Promise.all([one.bell.stop(), other.bell.stop()])
  })

  test('a new owner of a shard hears of commands from its claim on', async () => {
    const { bus } = await fixture.open()
    const [former, next] = [await listen(bus, FIRST), await listen(bus, SECOND)]
    await addAll(former.bell, former.told, bus, FIRST)
    await addAll(next.bell, next.told, bus, SECOND)
    former.bell.remove(FIRST)

    await bus.log.claim({ shard: FIRST, owner: next.owner, epoch: 2 })
    next.bell.add(FIRST)
    await expect.poll(() => next.told, AT_ONCE).toContain(FIRST)
    next.told.length = 0
    await ring(bus, FIRST)

    await expect.poll(() => next.told, AT_ONCE).toContain(FIRST)
    await Promise.all([former.bell.stop(), next.bell.stop()])
  })

  test.runIf(fixture.isRedis)('a ring that is lost is made good within about a second', async () => {
    const { bus, redis } = await fixture.open()
    const { owner, told, bell } = await listen(bus, FIRST)
    await addAll(bell, told, bus, FIRST)
    await redis?.loseRings(owner, FIRST)
    told.length = 0
    await ring(bus, FIRST)

    await expect.poll(() => told, ARRIVAL).toContain(FIRST)

    // And the bell hangs again.
    await addAll(bell, told, bus, FIRST)
    await ring(bus, FIRST)
    await expect.poll(() => told, AT_ONCE).toContain(FIRST)
    await bell.stop()
  })

  test.runIf(fixture.isRedis)('a shard at rest is left alone, and one that stands elsewhere is told of', async () => {
    const { bus } = await fixture.open()
    const owner = newNodeId('worker')
    for (const shard of [FIRST, SECOND]) await bus.log.claim({ shard, owner, epoch: 1 })
    const places = new Map<number, string>([
      [FIRST, '1 0-0'],
      [SECOND, '1 0-0'],
    ])
    const told: number[] = []
    const bell = bus.commands.openBell(
      owner,
      (shard) => void told.push(shard),
      () => undefined,
      (shard) => places.get(shard),
    )
    bell.add(FIRST)
    bell.add(SECOND)
    await expect.poll(() => new Set(told), ARRIVAL).toEqual(new Set([FIRST, SECOND]))

    // What was on its way may still come; then nothing does.
    const toldWithin = async (ms: number) => {
      told.length = 0
      await sleep(ms)
      return [...told]
    }
    await expect.poll(() => toldWithin(2_500), ARRIVAL).toEqual([])
    places.set(FIRST, '1 7-0')
    await bus.log.claim({ shard: SECOND, owner: newNodeId('worker'), epoch: 2 })

    await expect.poll(() => new Set(told), ARRIVAL).toEqual(new Set([FIRST, SECOND]))
    await bell.stop()
  })

  test('a stopped bell tells nothing any more, whatever is added', async () => {
    const { bus } = await fixture.open()
    const [stopped, witness] = [await listen(bus, FIRST), await listen(bus, SECOND)]
    await addAll(stopped.bell, stopped.told, bus, FIRST)
    await addAll(witness.bell, witness.told, bus, SECOND)
    stopped.told.length = 0

    await stopped.bell.stop()
    await stopped.bell.stop()
    stopped.bell.add(FIRST)
    await ring(bus, FIRST)
    await ring(bus, SECOND)

    await expect.poll(() => witness.told, AT_ONCE).toContain(SECOND)
    await turnOfTheLoop()
    expect(stopped.told).toEqual([])
    await witness.bell.stop()
  })

  test('what the bell told of is accepted in the order of the submissions', async () => {
    const { bus } = await fixture.open()
    const owner = await TestOwner.claim(bus, FIRST)
    const accepted: string[] = []
    let reading = Promise.resolve()
    const acceptAll = async () => {
      for (let more = true; more; ) {
        const batch = await owner.accept()
        if (batch.status !== 'ok') throw new Error(`accept was refused: ${batch.status}`)
        accepted.push(...batch.commands.map((it) => it.submission.commandId))
        more = batch.more
      }
    }
    const bell = bus.commands.openBell(
      owner.claimed.owner,
      () => {
        reading = reading.then(acceptAll)
      },
      () => undefined,
    )
    bell.add(FIRST)

    const sent: string[] = []
    const sessionId = newSessionId(FIRST)
    for (let wave = 0; wave < 5; wave++) {
      const commands = Array.from({ length: 50 }, () => submission(sessionId, OUTBOX))
      await Promise.all(commands.map((it) => bus.commands.submit(it)))
      sent.push(...commands.map((it) => it.commandId))
    }

    await expect.poll(() => accepted.length, ARRIVAL).toBe(sent.length)
    expect(accepted).toEqual(sent)
    await bell.stop()
    // The last ring may still be answered, and the bus must not be stopped under it.
    await reading
  })
})
