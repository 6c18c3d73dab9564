/**
 * A pinned session is written by its holder alone, whoever owns the shard, until the pin has ended.
 */
import { expect, test } from 'vitest'
import type { Bus, Claim, Handover } from '../../../src/bus/bus.js'
import { newNodeId } from '../../../src/protocol/ids.js'
import { idsOf, logOf, submission, TestEdge, TestOwner } from '../../support/bus-actors.js'
import { eachBus } from '../../support/bus-fixtures.js'

const SHARD = 3

const handoverOf = ({ handover }: Bus): Handover => {
  if (!handover) throw new Error('this bus hands nothing over')
  return handover
}

eachBus((fixture) => {
  if (!fixture.isRedis) {
    test('in one process there is nobody to hand a session to', async () => {
      expect((await fixture.open()).bus.handover).toBeUndefined()
    })
    return
  }

  /** `holder` has pinned one of its two sessions, then `owner` claimed the shard. */
  async function moved() {
    const { bus } = await fixture.open()
    const edge = await TestEdge.open(bus)
    const holder = await TestOwner.claim(bus, SHARD, 4)
    const [pinned, other] = [await holder.spawn(edge.name), await holder.spawn(edge.name)]
    await holder.append(pinned, 2)
    await holder.append(other, 2)
    const handover = handoverOf(bus)
    const reply = await handover.pin(holder.claimed, [pinned])
    const claimed = await bus.log.claim(ownerOf(5))
    const owner = await TestOwner.claim(bus, SHARD, 5)
    return { bus, edge, handover, holder, owner, pinned, other, reply, claimed }
  }
  const ownerOf = (epoch: number): Claim => ({ shard: SHARD, owner: newNodeId('owner'), epoch })

  test('the next owner learns of pins when it claims, and who holds them', async () => {
    const { handover, holder, pinned, reply, claimed } = await moved()
    const pin = { sessionId: pinned, node: holder.claimed.owner, epoch: 4 }

    expect(reply).toEqual({ status: 'ok', pinned: [pinned] })
    expect(claimed).toMatchObject({ status: 'ok', pins: [pin] })
    expect((await handover.pins(SHARD)).pins).toEqual([pin])
  })

  test('the holder goes on writing a pinned session, and nothing else of the shard', async () => {
    const { bus, holder, pinned, other } = await moved()

    await holder.append(pinned, 1)
    expect(await holder.flush(pinned, 'msg_1', 0, 'text')).toEqual({ status: 'ok' })
    expect(await holder.commit(holder.change(other, 2, 1))).toEqual({ status: 'fenced', epoch: 5 })
    expect(await holder.flush(other, 'msg_2', 0, 'text')).toEqual({ status: 'fenced', epoch: 5 })

    expect(idsOf(await logOf(bus, pinned))).toEqual(['4-1', '4-2', '4-3'])
  })

  test('to the owner of the shard a pin of a former one means a store that forgot its end; it takes commands all the same', async () => {
    const { bus, edge, owner, pinned } = await moved()

    expect(await owner.commit(owner.change(pinned, 2, 1))).toMatchObject({ status: 'rollback' })
    expect(await owner.flush(pinned, 'msg_1', 0, 'text')).toMatchObject({ status: 'rollback' })
    const command = submission(pinned, edge.name)
    expect(await owner.accept(command)).toMatchObject({ status: 'ok', commands: [{ acceptance: { status: 'new' } }] })

    expect((await bus.log.load(pinned))?.inbox).toContain(command.body)
  })

  test('when the holder has ended the pin the owner goes on after its last event', async () => {
    const { bus, handover, holder, owner, pinned } = await moved()
    await holder.append(pinned, 1)

    expect(await handover.unpin(holder.claimed, [pinned])).toEqual([pinned])
    await owner.append(pinned, 1)

    expect(await holder.commit(holder.change(pinned, 4, 1))).toEqual({ status: 'fenced', epoch: 5 })
    expect(idsOf(await logOf(bus, pinned))).toEqual(['4-1', '4-2', '4-3', '5-4'])
    expect((await handover.pins(SHARD)).pins).toEqual([])
  })

  test('the owner ends the pin of a holder that is dead, whose writes are refused from then on', async () => {
    const { handover, holder, owner, pinned } = await moved()

    expect(await handover.unpin(owner.claimed, [pinned])).toEqual([pinned])

    expect(await holder.commit(holder.change(pinned, 2, 1))).toEqual({ status: 'fenced', epoch: 5 })
    await owner.append(pinned, 1)
  })

  test('nobody else can end a pin, and it survives further moves of the shard', async () => {
    const { bus, handover, holder, owner, pinned } = await moved()
    const next = ownerOf(6)
    await bus.log.claim(next)

    // It owned the shard between the holder and the present owner.
    expect(await handover.unpin(owner.claimed, [pinned])).toEqual([])

    await holder.append(pinned, 1)
    expect((await handover.pins(SHARD)).pins).toHaveLength(1)
  })

  test('only the owner pins, and not what another node holds', async () => {
    const { handover, holder, owner, pinned, other } = await moved()

    expect(await handover.pin(holder.claimed, [other])).toEqual({ status: 'fenced', epoch: 5 })
    expect(await handover.pin(owner.claimed, [pinned, other])).toEqual({ status: 'ok', pinned: [other] })
    expect(await handover.pin(owner.claimed, [other])).toEqual({ status: 'ok', pinned: [other] })
    expect(await handover.pin({ ...owner.claimed, epoch: 9 }, [other])).toEqual({ status: 'rollback', epoch: 5 })
  })
})
