/**
 * An edge that may have missed something is told so, under a new name.
 */
import { expect, test } from 'vitest'
import { ARRIVAL, idsOf, TestEdge, TestOwner } from '../../support/bus-actors.js'
import { eachBus } from '../../support/bus-fixtures.js'

const SHARD = 60

eachBus((fixture) => {
  test('an edge whose entries were lost reopens under a new name and resumes what it missed', async () => {
    const { bus, loseEntries } = await fixture.open()
    const edge = await TestEdge.open(bus)
    const owner = await TestOwner.claim(bus, SHARD)
    const sessionId = await owner.spawn(edge.name)
    await owner.append(sessionId, 1)
    await expect.poll(() => idsOf(edge.events(sessionId)), ARRIVAL).toEqual(['1-1'])
    const former = edge.name

    await loseEntries(former)
    await expect.poll(() => edge.reopened, ARRIVAL).toHaveLength(1)
    await owner.append(sessionId, 1)
    const resumed = await bus.log.resume(sessionId, edge.name, '1-1', 10)
    await owner.append(sessionId, 1)

    expect(edge.reopened).toEqual([edge.name])
    expect(edge.name).not.toBe(former)
    expect(resumed.status === 'ok' && idsOf(resumed.events)).toEqual(['1-2'])
    await expect.poll(() => idsOf(edge.events(sessionId)), ARRIVAL).toEqual(['1-1', '1-3'])
  })

  test('other edges notice nothing of it', async () => {
    const { bus, loseEntries } = await fixture.open()
    const [unlucky, other] = [await TestEdge.open(bus), await TestEdge.open(bus)]
    const owner = await TestOwner.claim(bus, SHARD)
    const sessionId = await owner.spawn(other.name)

    await loseEntries(unlucky.name)
    await expect.poll(() => unlucky.reopened, ARRIVAL).toHaveLength(1)
    await owner.append(sessionId, 1)

    await expect.poll(() => idsOf(other.events(sessionId)), ARRIVAL).toEqual(['1-1'])
    expect(other.reopened).toEqual([])
  })
})
