/**
 * A log keeps what Postgres does not have, and the newest events that it is asked to keep.
 */
import { expect, test } from 'vitest'
import { newSessionId } from '../../../src/protocol/ids.js'
import { idsOf, logOf, TestEdge, TestOwner } from '../../support/bus-actors.js'
import { eachBus } from '../../support/bus-fixtures.js'

const SHARD = 40

eachBus((fixture) => {
  async function begin() {
    const { bus } = await fixture.open()
    const edge = await TestEdge.open(bus)
    const owner = await TestOwner.claim(bus, SHARD)
    const sessionId = await owner.spawn(edge.name)
    await owner.append(sessionId, 6)
    const unprojected = async () => {
      const claimed = await bus.log.claim(owner.claimed)
      return claimed.status === 'ok' ? claimed.unprojected : undefined
    }
    return { bus, owner, sessionId, unprojected }
  }

  test('a trim keeps the newest events and moves the floor to the last that went', async () => {
    const { bus, owner, sessionId, unprojected } = await begin()

    await owner.trim(sessionId, 6, 2)

    expect(idsOf(await logOf(bus, sessionId))).toEqual(['1-5', '1-6'])
    expect(await bus.log.load(sessionId)).toMatchObject({ floor: '1-4', head: '1-6' })
    expect(await unprojected()).toEqual([])
  })

  test('a trim never drops what Postgres does not have', async () => {
    const { bus, owner, sessionId, unprojected } = await begin()

    await owner.trim(sessionId, 4, 0)

    expect(idsOf(await logOf(bus, sessionId))).toEqual(['1-5', '1-6'])
    expect(await unprojected()).toEqual([sessionId])
  })

  test('a trim that asks for nothing to be dropped still notes what is projected', async () => {
    const { bus, owner, sessionId, unprojected } = await begin()

    await owner.trim(sessionId, 6, 100)

    expect(idsOf(await logOf(bus, sessionId))).toHaveLength(6)
    expect(await unprojected()).toEqual([])
  })

  test('a log that was trimmed to nothing goes on with the next number, and is unprojected again', async () => {
    const { bus, owner, sessionId, unprojected } = await begin()

    await owner.trim(sessionId, 6, 0)
    expect(await logOf(bus, sessionId)).toEqual([])
    expect(await bus.log.load(sessionId)).toMatchObject({ floor: '1-6', head: '1-6' })
    await owner.append(sessionId, 1)

    expect(idsOf(await logOf(bus, sessionId))).toEqual(['1-7'])
    expect(await unprojected()).toEqual([sessionId])
  })

  test('a trim that comes late leaves projected what was projected', async () => {
    const { owner, sessionId, unprojected } = await begin()

    await owner.trim(sessionId, 6, 100)
    await owner.trim(sessionId, 2, 100)

    expect(await unprojected()).toEqual([])
  })

  test('repeated and late trims are harmless, also of a session that is not there', async () => {
    const { bus, owner, sessionId } = await begin()

    await owner.trim(sessionId, 5, 1)
    const after = await bus.log.load(sessionId)
    await owner.trim(sessionId, 5, 1)
    await owner.trim(sessionId, 2, 0)
    await owner.trim(newSessionId(SHARD), 3, 0)

    expect(await bus.log.load(sessionId)).toEqual(after)
    expect(idsOf(await logOf(bus, sessionId))).toEqual(['1-6'])
  })
})
