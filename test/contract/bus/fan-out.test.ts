/**
 * What edges see: acceptances of what they submitted, events and text of what they watch, each in order and once.
 */
import { expect, test } from 'vitest'
import type { OutEntry } from '../../../src/bus/bus.js'
import { newNodeId } from '../../../src/protocol/ids.js'
import { ARRIVAL, idsOf, submission, TestEdge, TestOwner } from '../../support/bus-actors.js'
import { eachBus } from '../../support/bus-fixtures.js'

const SHARD = 21

const summary = (entry: OutEntry): string =>
  entry.kind === 'events'
    ? idsOf(entry.events).join()
    : entry.kind === 'text'
      ? `${entry.messageId}@${entry.offset}+${entry.bytes}/${entry.headSeq}`
      : 'acceptances'

eachBus((fixture) => {
  test('an acceptance reaches the edge that submitted, and no other', async () => {
    const { bus } = await fixture.open()
    const [first, second] = [await TestEdge.open(bus), await TestEdge.open(bus)]
    const owner = await TestOwner.claim(bus, SHARD)
    const sessionId = await owner.spawn(first.name)
    const [mine, other] = [submission(sessionId, first.name), submission(sessionId, second.name)]

    await owner.acceptances(mine, other, mine)

    await expect
      .poll(() => second.acceptances(), ARRIVAL)
      .toMatchObject([{ commandId: other.commandId, status: 'new' }])
    await expect
      .poll(() => first.acceptances().map((it) => [it.commandId, it.status]), ARRIVAL)
      .toEqual([
        [sessionId, 'new'],
        [mine.commandId, 'new'],
        [mine.commandId, 'dup'],
      ])
  })

  test('events and text reach every subscribed edge in the order of the writes', async () => {
    const { bus } = await fixture.open()
    const [spawner, watcher, stranger] = [await TestEdge.open(bus), await TestEdge.open(bus), await TestEdge.open(bus)]
    const owner = await TestOwner.claim(bus, SHARD)
    const sessionId = await owner.spawn(spawner.name)
    await bus.log.resume(sessionId, watcher.name, 'now', 10)

    await owner.append(sessionId, 2)
    await owner.flush(sessionId, 'msg_1', 0, 'é', 2)
    await owner.flush(sessionId, 'msg_1', 2, 'text', 2)
    await owner.append(sessionId, 1, { clearPart: true })

    const expected = ['1-1,1-2', 'msg_1@0+2/2', 'msg_1@2+4/2', '1-3']
    await expect.poll(() => watcher.entries.map(summary), ARRIVAL).toEqual(expected)
    await expect.poll(() => spawner.entries.map(summary), ARRIVAL).toEqual(['acceptances', ...expected])
    expect(stranger.entries).toEqual([])
    expect(watcher.entries[1]).toMatchObject({ kind: 'text', json: expect.stringContaining('"chunk":"é"') })
  })

  test('what was sent again is shown once', async () => {
    const { bus } = await fixture.open()
    const edge = await TestEdge.open(bus)
    const owner = await TestOwner.claim(bus, SHARD)
    const sessionId = await owner.spawn(edge.name)

    const change = await owner.append(sessionId, 1)
    await owner.commit(change)
    await owner.flush(sessionId, 'msg_1', 0, 'text', 1)
    await owner.flush(sessionId, 'msg_1', 0, 'text', 1)
    await owner.append(sessionId, 1)

    await expect.poll(() => edge.events(sessionId).length, ARRIVAL).toBe(2)
    expect(edge.entries.map(summary)).toEqual(['acceptances', '1-1', 'msg_1@0+4/1', '1-2'])
  })

  test('an edge that unsubscribed sees no more of the session', async () => {
    const { bus } = await fixture.open()
    const [edge, witness] = [await TestEdge.open(bus), await TestEdge.open(bus)]
    const owner = await TestOwner.claim(bus, SHARD)
    const sessionId = await owner.spawn(edge.name)
    await bus.log.resume(sessionId, witness.name, 'now', 10)
    await owner.append(sessionId, 1)

    await bus.log.unsubscribe(sessionId, edge.name)
    await owner.append(sessionId, 1)
    await owner.acceptances(submission(sessionId, edge.name))

    await expect.poll(() => edge.acceptances().length, ARRIVAL).toBe(2)
    expect(idsOf(edge.events(sessionId))).toEqual(['1-1'])
    await expect.poll(() => idsOf(witness.events(sessionId)), ARRIVAL).toEqual(['1-1', '1-2'])
  })

  test('a stopped edge is unsubscribed by the next commit', async () => {
    const { bus } = await fixture.open()
    const id = newNodeId('edge')
    const stopped = await TestEdge.open(bus, id)
    const owner = await TestOwner.claim(bus, SHARD)
    const sessionId = await owner.spawn(stopped.name)
    await stopped.stop()
    await owner.append(sessionId, 1)

    // The same name again shows whether the session still counts on it.
    const namesake = await TestEdge.open(bus, id)
    expect(namesake.name).toBe(stopped.name)
    await owner.append(sessionId, 1)
    await owner.acceptances(submission(sessionId, namesake.name))

    await expect.poll(() => namesake.acceptances(), ARRIVAL).toHaveLength(1)
    expect(namesake.events(sessionId)).toEqual([])
  })

  test('a commit without events shows nothing', async () => {
    const { bus } = await fixture.open()
    const edge = await TestEdge.open(bus)
    const owner = await TestOwner.claim(bus, SHARD)
    const sessionId = await owner.spawn(edge.name)

    await owner.append(sessionId, 0, { status: 'paused' })
    await owner.append(sessionId, 1)

    await expect.poll(() => edge.entries.map(summary), ARRIVAL).toEqual(['acceptances', '1-1'])
  })
})
