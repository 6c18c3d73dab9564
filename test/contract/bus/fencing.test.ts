/**
 * A worker that lost its shard changes nothing, whatever it tries.
 */
import { expect, test } from 'vitest'
import { newNodeId } from '../../../src/protocol/ids.js'
import { ARRIVAL, idsOf, logOf, submission, TestEdge, TestOwner } from '../../support/bus-actors.js'
import { eachBus } from '../../support/bus-fixtures.js'

const SHARD = 3

eachBus((fixture) => {
  /** `former` owned the shard with three events in it, then `owner` claimed it. */
  async function takenOver() {
    const { bus } = await fixture.open()
    const edge = await TestEdge.open(bus)
    const former = await TestOwner.claim(bus, SHARD, 4)
    const sessionId = await former.spawn(edge.name)
    await former.append(sessionId, 3)
    await former.flush(sessionId, 'msg_1', 0, 'kept')
    const owner = await TestOwner.claim(bus, SHARD, 5)
    const before = await bus.log.load(sessionId)
    return { bus, edge, former, owner, sessionId, before }
  }

  test('a worker that lost its shard cannot append events', async () => {
    const { bus, former, sessionId, before } = await takenOver()

    const committed = await former.commit(former.change(sessionId, 3, 1, { popInbox: 1, status: 'failed' }))

    expect(committed).toEqual({ status: 'fenced', epoch: 5 })
    expect(await bus.log.load(sessionId)).toEqual(before)
    expect(idsOf(await logOf(bus, sessionId))).toEqual(['4-1', '4-2', '4-3'])
  })

  test('a worker that lost its shard cannot stream text', async () => {
    const { bus, edge, former, sessionId, before } = await takenOver()

    const flushed = await former.flush(sessionId, 'msg_1', 4, ' and lost')

    expect(flushed).toEqual({ status: 'fenced', epoch: 5 })
    expect(await bus.log.load(sessionId)).toEqual(before)
    expect(edge.texts(sessionId).length).toBeLessThanOrEqual(1)
  })

  test('a worker that lost its shard cannot accept commands', async () => {
    const { bus, edge, former, owner, sessionId, before } = await takenOver()
    const command = submission(sessionId, edge.name)

    const accepted = await former.accept(command)

    expect(accepted).toEqual({ status: 'fenced', epoch: 5 })
    expect(await bus.log.load(sessionId)).toEqual(before)
    // It still waits for the owner.
    expect(await owner.acceptances()).toMatchObject([{ commandId: command.commandId, status: 'new' }])
  })

  test('a worker that lost its shard cannot trim a log', async () => {
    const { bus, former, sessionId, before } = await takenOver()

    await former.trim(sessionId, 3, 0)

    expect(await bus.log.load(sessionId)).toEqual(before)
    expect(idsOf(await logOf(bus, sessionId))).toEqual(['4-1', '4-2', '4-3'])
    expect(await bus.log.claim({ shard: SHARD, owner: newNodeId('worker'), epoch: 6 })).toMatchObject({
      unprojected: [sessionId],
    })
  })

  test('an older claim is fenced, the same one may be repeated, and a release does not give up the epoch', async () => {
    const { bus, former, owner, sessionId } = await takenOver()

    expect(await bus.log.claim(former.claimed)).toEqual({ status: 'fenced', epoch: 5 })
    expect(await bus.log.claim(owner.claimed)).toMatchObject({ status: 'ok', active: [sessionId] })
    await bus.log.release(former.claimed)
    await bus.log.release(owner.claimed)
    expect(await bus.log.claim(former.claimed)).toEqual({ status: 'fenced', epoch: 5 })
  })

  test('a store with a lower epoch than the claim has lost writes, and takes none', async () => {
    const { bus, edge, owner, sessionId, before } = await takenOver()
    const ahead = { ...owner.claimed, epoch: 9 }
    const rollback = { status: 'rollback', epoch: 5 }

    expect(await bus.log.commit(ahead, owner.change(sessionId, 3, 1))).toEqual(rollback)
    const text = { sessionId, messageId: 'msg_1', offset: 4, text: 'x', headSeq: 3, json: '{}' }
    expect(await bus.log.flush(ahead, text)).toEqual(rollback)
    const command = submission(sessionId, edge.name)
    await bus.commands.submit(command)
    expect(await bus.commands.accept(ahead)).toEqual(rollback)
    await bus.log.trim(ahead, [{ sessionId, seq: 3, keep: 0 }])

    expect(await bus.log.load(sessionId)).toEqual(before)
    expect(await owner.acceptances()).toMatchObject([{ commandId: command.commandId, status: 'new' }])
  })

  test('a commit that arrived before the takeover is answered ok when it is sent again after it', async () => {
    const { bus } = await fixture.open()
    const edge = await TestEdge.open(bus)
    const former = await TestOwner.claim(bus, SHARD, 4)
    const sessionId = await former.spawn(edge.name)
    const change = await former.append(sessionId, 1)
    const owner = await TestOwner.claim(bus, SHARD, 5)

    expect(await former.commit(change)).toEqual({ status: 'ok' })
    await owner.append(sessionId, 1)
    expect(await former.commit(change)).toEqual({ status: 'fenced', epoch: 5 })

    expect(idsOf(await logOf(bus, sessionId))).toEqual(['4-1', '5-2'])
    await expect.poll(() => idsOf(edge.events(sessionId)), ARRIVAL).toEqual(['4-1', '5-2'])
  })
})
