/**
 * A shard takes commands up to a count and a size; what is refused has changed nothing.
 */
import { expect, test } from 'vitest'
import { LIMITS } from '../../../src/bus/bus.js'
import { newSessionId } from '../../../src/protocol/ids.js'
import { submission, TestEdge, TestOwner } from '../../support/bus-actors.js'
import { eachBus } from '../../support/bus-fixtures.js'

const SHARD = 7
const OUTBOX = 'edge@1-1'

eachBus((fixture) => {
  test('a shard refuses commands above its count until the owner accepts some', async () => {
    const { bus } = await fixture.open()
    const owner = await TestOwner.claim(bus, SHARD)
    const sessionId = newSessionId(SHARD)
    const all = Array.from({ length: LIMITS.shardCommands }, () => bus.commands.submit(submission(sessionId, OUTBOX)))
    expect(new Set((await Promise.all(all)).map((it) => it.status))).toEqual(new Set(['ok']))

    const refused = await bus.commands.submit(submission(sessionId, OUTBOX))
    expect(refused).toEqual({ status: 'busy', retryAfterMs: LIMITS.busyRetryMs })

    const accepted = await owner.acceptances()
    const again = Array.from({ length: accepted.length + 1 }, () => bus.commands.submit(submission(sessionId, OUTBOX)))
    const statuses = (await Promise.all(again)).map((it) => it.status)
    expect(accepted).toHaveLength(LIMITS.acceptCommands)
    expect(statuses).toEqual([...accepted.map(() => 'ok'), 'busy'])
  })

  test('a shard refuses commands above its size in bytes', async () => {
    const { bus } = await fixture.open()
    const sessionId = newSessionId(SHARD)
    // Two bytes in UTF-8 for each character: the bound counts bytes.
    const body = JSON.stringify('é'.repeat(1024 * 1024))
    const large = () => bus.commands.submit(submission(sessionId, OUTBOX, { body }))
    const fitting = Math.floor(LIMITS.shardBytes / Buffer.byteLength(body))
    for (let count = 0; count < fitting; count++) expect(await large()).toEqual({ status: 'ok' })

    expect(await large()).toMatchObject({ status: 'busy' })
    const owner = await TestOwner.claim(bus, SHARD)
    expect(await owner.acceptances()).toHaveLength(fitting)
    expect(await large()).toEqual({ status: 'ok' })

    expect(await bus.commands.submit(submission(sessionId, OUTBOX, { body: '{}' }))).toEqual({ status: 'ok' })
  })

  test('a full shard does not stop the others', async () => {
    const { bus } = await fixture.open()
    const body = JSON.stringify('x'.repeat(LIMITS.shardBytes - 2))
    expect(await bus.commands.submit(submission(newSessionId(1), OUTBOX, { body }))).toEqual({ status: 'ok' })
    expect(await bus.commands.submit(submission(newSessionId(1), OUTBOX))).toMatchObject({ status: 'busy' })

    expect(await bus.commands.submit(submission(newSessionId(2), OUTBOX))).toEqual({ status: 'ok' })
  })

  test('the bounds of a session refuse with busy and leave the inbox as it was', async () => {
    const { bus } = await fixture.open()
    const edge = await TestEdge.open(bus)
    const owner = await TestOwner.claim(bus, SHARD)
    const sessionId = await owner.spawn(edge.name)
    const half = JSON.stringify('x'.repeat(LIMITS.inboxBytes / 2))
    const statuses = await owner.acceptances(
      submission(sessionId, edge.name, { body: half }),
      submission(sessionId, edge.name, { commandId: 'second', body: half }),
      submission(sessionId, edge.name, { body: '{}' }),
    )

    expect(statuses.map((it) => it.status)).toEqual(['new', 'busy', 'new'])
    expect((await bus.log.load(sessionId))?.inbox.slice(1)).toEqual([half, '{}'])
    // A refused id is not remembered: once there is room, the same command is new.
    await owner.append(sessionId, 1, { popInbox: 2 })
    const [again] = await owner.acceptances(submission(sessionId, edge.name, { commandId: 'second', body: half }))
    expect(again?.status).toBe('new')
  })

  test('a session takes a thousand waiting commands and no more', async () => {
    const { bus } = await fixture.open()
    const edge = await TestEdge.open(bus)
    const owner = await TestOwner.claim(bus, SHARD)
    const sessionId = await owner.spawn(edge.name)
    const statuses: string[] = []
    for (let batch = 0; batch < LIMITS.inboxCommands / 100; batch++) {
      const commands = Array.from({ length: 100 }, () => submission(sessionId, edge.name))
      statuses.push(...(await owner.acceptances(...commands)).map((it) => it.status))
    }

    // The spawn waits too.
    expect(statuses.indexOf('busy')).toBe(LIMITS.inboxCommands - 1)
    expect(statuses.filter((it) => it === 'busy')).toHaveLength(1)
    const [control] = await owner.acceptances(submission(sessionId, edge.name, { type: 'stop' }))
    expect(control?.status).toBe('new')
  })

  test('while a worker takes no work on, work is busy and not remembered; control and spawns pass', async () => {
    const { bus } = await fixture.open()
    const edge = await TestEdge.open(bus)
    const owner = await TestOwner.claim(bus, SHARD)
    const sessionId = await owner.spawn(edge.name)
    bus.commands.admitWork(false)
    const statuses = await owner.acceptances(
      submission(sessionId, edge.name, { commandId: 'later' }),
      submission(sessionId, edge.name, { type: 'pause' }),
    )
    const spawned = await owner.spawn(edge.name)
    bus.commands.admitWork(true)

    const [again] = await owner.acceptances(submission(sessionId, edge.name, { commandId: 'later' }))

    expect(statuses.map((it) => it.status)).toEqual(['busy', 'new'])
    expect(await bus.log.load(spawned)).toMatchObject({ status: 'initializing' })
    expect(again?.status).toBe('new')
  })
})
