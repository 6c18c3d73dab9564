/**
 * Resuming subscribes and hands out exactly what was missed, or says that it cannot.
 */
import { expect, test } from 'vitest'
import { newSessionId } from '../../../src/protocol/ids.js'
import { ARRIVAL, idsOf, TestEdge, TestOwner } from '../../support/bus-actors.js'
import { eachBus } from '../../support/bus-fixtures.js'

const SHARD = 30

eachBus((fixture) => {
  async function begin(events: number) {
    const { bus } = await fixture.open()
    const edge = await TestEdge.open(bus)
    const owner = await TestOwner.claim(bus, SHARD)
    const sessionId = await owner.spawn('spawner@1-1')
    if (events > 0) await owner.append(sessionId, events)
    return { bus, edge, owner, sessionId }
  }

  test('a resume hands out what follows the position, and the rest arrives by itself', async () => {
    const { bus, edge, owner, sessionId } = await begin(4)

    const resumed = await bus.log.resume(sessionId, edge.name, '1-2', 10)
    await owner.append(sessionId, 1)

    expect(resumed).toMatchObject({ status: 'ok', head: '1-4', part: undefined })
    expect(resumed.status === 'ok' && idsOf(resumed.events)).toEqual(['1-3', '1-4'])
    await expect.poll(() => idsOf(edge.events(sessionId)), ARRIVAL).toEqual(['1-5'])
  })

  test('a resume from the start of the log hands out everything', async () => {
    const { bus, edge, sessionId } = await begin(3)

    const resumed = await bus.log.resume(sessionId, edge.name, '0-0', 10)

    expect(resumed.status === 'ok' && idsOf(resumed.events)).toEqual(['1-1', '1-2', '1-3'])
  })

  test('a resume from the head, or of a session without events, hands out nothing and subscribes', async () => {
    const { bus, edge, owner, sessionId } = await begin(0)

    expect(await bus.log.resume(sessionId, edge.name, '0-0', 10)).toMatchObject({
      status: 'ok',
      head: '0-0',
      events: [],
    })
    await owner.append(sessionId, 1)
    expect(await bus.log.resume(sessionId, edge.name, '1-1', 10)).toMatchObject({
      status: 'ok',
      head: '1-1',
      events: [],
    })
    await owner.append(sessionId, 1)

    await expect.poll(() => idsOf(edge.events(sessionId)), ARRIVAL).toEqual(['1-1', '1-2'])
  })

  test('a resume from now hands out nothing of the past but the part being streamed', async () => {
    const { bus, edge, owner, sessionId } = await begin(2)
    await owner.flush(sessionId, 'msg_1', 0, 'half a sen', 2)

    const resumed = await bus.log.resume(sessionId, edge.name, 'now', 10)
    await owner.flush(sessionId, 'msg_1', 10, 'tence', 2)

    const part = { messageId: 'msg_1', text: 'half a sen' }
    expect(resumed).toEqual({ status: 'ok', events: [], head: '1-2', part })
    await expect.poll(() => edge.texts(sessionId), ARRIVAL).toMatchObject([{ offset: 10, bytes: 5, headSeq: 2 }])
  })

  test('a long resume is paged, and subscribes with its last page', async () => {
    const { bus, edge, owner, sessionId } = await begin(7)

    const ids: string[] = []
    let position = '0-0'
    let answer = await bus.log.resume(sessionId, edge.name, position, 3)
    while (answer.status === 'more') {
      expect(answer.events.length).toBeGreaterThan(0)
      ids.push(...idsOf(answer.events))
      position = ids.at(-1) ?? position
      // Not subscribed yet: what happens between two pages is part of the next one, and only there.
      if (ids.length === 3) await owner.append(sessionId, 1)
      answer = await bus.log.resume(sessionId, edge.name, position, 3)
    }
    if (answer.status === 'ok') ids.push(...idsOf(answer.events))
    await owner.append(sessionId, 1)

    expect(answer.status).toBe('ok')
    expect(ids).toEqual(['1-1', '1-2', '1-3', '1-4', '1-5', '1-6', '1-7', '1-8'])
    await expect.poll(() => idsOf(edge.events(sessionId)), ARRIVAL).toEqual(['1-9'])
  })

  test('a position below the floor is named with floor and head, and does not subscribe', async () => {
    const { bus, edge, owner, sessionId } = await begin(6)
    await owner.trim(sessionId, 6, 2)

    expect(await bus.log.resume(sessionId, edge.name, '1-3', 10)).toEqual({
      status: 'below',
      floor: '1-4',
      head: '1-6',
    })
    expect(await bus.log.resume(sessionId, edge.name, '0-0', 10)).toEqual({
      status: 'below',
      floor: '1-4',
      head: '1-6',
    })
    await owner.append(sessionId, 1)
    const resumed = await bus.log.resume(sessionId, edge.name, '1-4', 10)

    expect(resumed.status === 'ok' && idsOf(resumed.events)).toEqual(['1-5', '1-6', '1-7'])
    expect(edge.events(sessionId)).toEqual([])
  })

  test('a position that the log never had is below, whatever its numbers', async () => {
    const { bus, edge, sessionId } = await begin(3)

    // `2-3` is what an edge has of an owner whose writes the store has lost: the number alone says nothing.
    for (const invented of ['2-3', '2-2', '1-4', '9-9', '0-2']) {
      expect(await bus.log.resume(sessionId, edge.name, invented, 10)).toEqual({
        status: 'below',
        floor: '0-0',
        head: '1-3',
      })
    }
  })

  test('a session that is not there is unknown', async () => {
    const { bus, edge } = await begin(0)

    expect(await bus.log.resume(newSessionId(SHARD), edge.name, 'now', 10)).toEqual({ status: 'unknown' })
  })

  test('nothing falls between the answer and the stream while the owner writes', async () => {
    const { bus, edge, owner, sessionId } = await begin(1)
    const rounds = 40

    const writing = (async () => {
      for (let round = 0; round < rounds; round++) await owner.append(sessionId, 1)
    })()
    const resumed = await bus.log.resume(sessionId, edge.name, '1-1', 1_000)
    await writing

    const first = resumed.status === 'ok' ? idsOf(resumed.events) : []
    const expected = Array.from({ length: rounds }, (_, index) => `1-${index + 2}`)
    await expect.poll(() => [...first, ...idsOf(edge.events(sessionId))], ARRIVAL).toEqual(expected)
  })
})
