/**
 * Durable timers: whoever owns the shard is told of them, until they are cleared.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { expect, test, vi } from 'vitest'
import { type Claim, LIMITS, type Timer } from '../../../src/bus/bus.js'
import { newNodeId, newSessionId } from '../../../src/protocol/ids.js'
import { TestOwner } from '../../support/bus-actors.js'
import { eachBus } from '../../support/bus-fixtures.js'

const PATIENCE = { timeout: 15_000, interval: 10 } as const
const HOUR = 3_600_000

/** More than are asked for in one call, over all lanes. */
const SHARDS = 150

const byName = (one: Timer, other: Timer): number => one.name.localeCompare(other.name)
const sameTimers = (wanted: readonly Timer[]) => (timers: readonly Timer[]) =>
  isDeepStrictEqual(timers.toSorted(byName), wanted.toSorted(byName))

/** A shard of its own for each test: a journal keeps the timers of the one before. */
let shard = 0

eachBus((fixture) => {
  async function begin() {
    shard += 1
    const { bus } = await fixture.open()
    const { claimed: claim } = await TestOwner.claim(bus, shard)
    const sessionId = newSessionId(shard)
    const due = async (of: Claim = claim): Promise<readonly Timer[]> => {
      const [told] = await bus.timers.due([of])
      if (told && told.reply.status !== 'ok') throw new Error(`refused: ${told.reply.status}`)
      return told?.reply.status === 'ok' ? told.reply.timers : []
    }
    return { bus, claim, sessionId, due, timer: { sessionId, name: 'timeout', note: 'a note: {"of": 1}' } }
  }

  test('a timer is told when its time has come, with its note, and again until it is cleared', async () => {
    const { bus, claim, due, timer } = await begin()

    expect(await bus.timers.set(claim, timer, 300)).toEqual({ status: 'ok' })
    expect(await due()).toEqual([])
    await vi.waitFor(async () => expect(await due()).toEqual([timer]), PATIENCE)
    expect(await due()).toEqual([timer])
    expect(await bus.timers.clear(claim, timer)).toEqual({ status: 'ok' })

    expect(await due()).toEqual([])
  })

  test('setting a timer anew moves it, in both directions, and changes its note', async () => {
    const { bus, claim, due, timer } = await begin()
    await bus.timers.set(claim, timer, 0)
    await bus.timers.set(claim, timer, HOUR)
    expect(await due()).toEqual([])

    await bus.timers.set(claim, { ...timer, note: '' }, 0)

    expect(await due()).toEqual([{ ...timer, note: '' }])
  })

  test('timers of one session stand beside each other, and so do those of two', async () => {
    const { bus, claim, due, timer } = await begin()
    const other = { ...timer, sessionId: newSessionId(shard) }
    const second = { ...timer, name: 'second' }
    for (const each of [timer, other, second]) await bus.timers.set(claim, each, 0)

    await bus.timers.clear(claim, timer)

    expect(await due()).toHaveLength(2)
    expect(await due()).toEqual(expect.arrayContaining([other, second]))
  })

  test('the longest overdue come first, and no more than a batch', async () => {
    const { bus, claim, due, timer } = await begin()
    await bus.timers.set(claim, { ...timer, name: 'first' }, 0)
    await sleep(20)
    const names = Array.from({ length: LIMITS.dueTimers + 5 }, (_, n) => `later-${n}`)
    await Promise.all(names.map((name) => bus.timers.set(claim, { ...timer, name }, 0)))

    const told = await due()

    expect(told).toHaveLength(LIMITS.dueTimers)
    expect(told[0]?.name).toBe('first')
  })

  test('a next owner finds the timers, and the former one can neither read nor change them', async () => {
    const { bus, claim, due, timer } = await begin()
    await bus.timers.set(claim, timer, 0)
    const next = { ...claim, owner: newNodeId('worker'), epoch: claim.epoch + 1 }
    await bus.log.claim(next)

    const refused = { status: 'fenced', epoch: next.epoch }
    expect(await bus.timers.due([claim])).toEqual([{ claim, reply: refused }])
    expect(await bus.timers.clear(claim, timer)).toEqual(refused)
    expect(await bus.timers.set(claim, timer, HOUR)).toEqual(refused)
    expect(await due(next)).toEqual([timer])
  })

  test('an owner whose claim the store has lost is told so', async () => {
    const { bus, claim, timer } = await begin()
    const ahead = { ...claim, epoch: claim.epoch + 1 }
    const refused = { status: 'rollback', epoch: claim.epoch }
    expect(await bus.timers.set(ahead, timer, 0)).toEqual(refused)
    expect(await bus.timers.due([ahead])).toEqual([{ claim: ahead, reply: refused }])
  })

  test('of many shards only those are told of that have something to say', async () => {
    const { bus } = await fixture.open()
    const first = shard + 1
    shard += SHARDS
    const owners = await Promise.all(Array.from({ length: SHARDS }, (_, n) => TestOwner.claim(bus, first + n)))
    const claims = owners.map(({ claimed }) => claimed)
    const timerOf = (claim: Claim, name: string) => ({ sessionId: newSessionId(claim.shard), name, note: name })
    const chosen = claims.filter((_, n) => n % 50 === 7)
    const timers = await Promise.all(
      chosen.map(async (claim) => {
        const pair = [timerOf(claim, 'one'), timerOf(claim, 'other')]
        for (const timer of pair) await bus.timers.set(claim, timer, 0)
        return { claim, pair }
      }),
    )
    const lost = claims.at(-1) as Claim
    await bus.log.claim({ ...lost, owner: newNodeId('worker'), epoch: 2 })

    const told = await bus.timers.due(claims)

    expect(new Map(told.map(({ claim, reply }) => [claim, reply]))).toEqual(
      new Map<Claim, unknown>([
        ...timers.map(
          ({ claim, pair }) => [claim, { status: 'ok', timers: expect.toSatisfy(sameTimers(pair)) }] as const,
        ),
        [lost, { status: 'fenced', epoch: 2 }],
      ]),
    )
  })
})
