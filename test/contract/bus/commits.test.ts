/**
 * A commit is one step of a session: events, state and ended commands, all or nothing, at most once.
 */
import { expect, test } from 'vitest'
import { LIMITS } from '../../../src/bus/bus.js'
import { eventBody, idsOf, logOf, submission, TestEdge, TestOwner } from '../../support/bus-actors.js'
import { eachBus } from '../../support/bus-fixtures.js'

const SHARD = 12

eachBus((fixture) => {
  async function begin() {
    const { bus } = await fixture.open()
    const edge = await TestEdge.open(bus)
    const owner = await TestOwner.claim(bus, SHARD)
    return { bus, edge, owner, sessionId: await owner.spawn(edge.name) }
  }

  test('events are numbered without gaps, over owners too', async () => {
    const { bus, owner, sessionId } = await begin()
    await owner.append(sessionId, 2)
    await owner.append(sessionId, 1)
    const next = await TestOwner.claim(bus, SHARD, 8)
    await next.append(sessionId, 2)

    const events = await logOf(bus, sessionId)

    expect(idsOf(events)).toEqual(['1-1', '1-2', '1-3', '8-4', '8-5'])
    expect(events.map((it) => it.body)).toEqual(idsOf(events).map((id) => eventBody(sessionId, id)))
    expect(await bus.log.peek(sessionId)).toMatchObject({ head: '8-5', status: 'active', tenant: 'acme' })
  })

  test('events are read in pages from any position', async () => {
    const { bus, owner, sessionId } = await begin()
    await owner.append(sessionId, 5)

    expect(idsOf(await bus.log.events(sessionId, '0-0', 2))).toEqual(['1-1', '1-2'])
    expect(idsOf(await bus.log.events(sessionId, '1-2', 2))).toEqual(['1-3', '1-4'])
    expect(idsOf(await bus.log.events(sessionId, '1-4', 2))).toEqual(['1-5'])
    expect(await bus.log.events(sessionId, '1-5', 2)).toEqual([])
  })

  test('a body comes back byte for byte', async () => {
    const { bus, owner, sessionId } = await begin()
    const head = eventBody(sessionId, '1-1').slice(0, -1)
    const body = `${head},  "b": 1.0, "a" :"é😀\\u0000\\ud800\\"", "b":2}`
    const state = `{"turn": 1 ,"x":"é😀\\u0000"}`

    await owner.append(sessionId, 1, { events: [body], state })

    expect(await logOf(bus, sessionId)).toEqual([{ eventId: '1-1', body }])
    expect((await bus.log.peek(sessionId))?.state).toBe(state)
  })

  test('a commit sent again changes nothing and answers ok', async () => {
    const { bus, owner, sessionId } = await begin()
    await owner.accept(submission(sessionId, 'edge@2-1'), submission(sessionId, 'edge@2-1'))
    const change = await owner.append(sessionId, 2, { popInbox: 1 })
    const after = await bus.log.load(sessionId)

    expect(await owner.commit(change)).toEqual({ status: 'ok' })

    expect(await bus.log.load(sessionId)).toEqual(after)
    expect(idsOf(await logOf(bus, sessionId))).toEqual(['1-1', '1-2'])
  })

  test('two copies of a commit on their way at once take effect once', async () => {
    const { bus, owner, sessionId } = await begin()
    const change = owner.change(sessionId, 0, 2)

    expect(await Promise.all([owner.commit(change), owner.commit(change)])).toEqual([
      { status: 'ok' },
      { status: 'ok' },
    ])
    expect(idsOf(await logOf(bus, sessionId))).toEqual(['1-1', '1-2'])
  })

  test('a commit that expects another head is refused with the present one', async () => {
    const { bus, owner, sessionId } = await begin()
    await owner.append(sessionId, 3)
    const before = await bus.log.load(sessionId)

    expect(await owner.commit(owner.change(sessionId, 2, 1, { popInbox: 1 }))).toEqual({ status: 'head', seq: 3 })
    expect(await owner.commit(owner.change(sessionId, 4, 1, { popInbox: 1 }))).toEqual({ status: 'head', seq: 3 })

    expect(await bus.log.load(sessionId)).toEqual(before)
  })

  test('a commit takes what it ended from the head of both lists', async () => {
    const { bus, owner, sessionId, edge } = await begin()
    const [first, second] = [submission(sessionId, edge.name), submission(sessionId, edge.name)]
    const [pause, stop] = (['pause', 'stop'] as const).map((type) => submission(sessionId, edge.name, { type }))
    if (!pause || !stop) throw new Error('two control commands')
    await owner.acceptances(first, pause, second, stop)

    await owner.append(sessionId, 1, { popInbox: 2, popControl: 1 })

    expect(await bus.log.load(sessionId)).toMatchObject({ inbox: [second.body], control: [stop.body] })
  })

  test('a session is active while commands wait or run, and unprojected once it has events', async () => {
    const { bus, owner, sessionId, edge } = await begin()
    const found = () => bus.log.claim(owner.claimed)
    expect(await found()).toMatchObject({ active: [sessionId], unprojected: [] })
    await owner.acceptances(submission(sessionId, edge.name, { type: 'stop' }))
    await owner.append(sessionId, 1, { popInbox: 1 })
    expect(await found()).toMatchObject({ active: [sessionId], unprojected: [sessionId] })

    await owner.append(sessionId, 1, { popControl: 1 })

    expect(await found()).toMatchObject({ active: [], unprojected: [sessionId] })
  })

  test('a commit that ends more commands than wait is refused and changes nothing', async () => {
    const { bus, owner, sessionId } = await begin()
    const before = await bus.log.load(sessionId)

    expect(await owner.commit(owner.change(sessionId, 0, 1, { popInbox: 2 }))).toEqual({ status: 'corrupt' })

    expect(await bus.log.load(sessionId)).toEqual(before)
  })

  test('a commit without events saves state and moves no head', async () => {
    const { bus, owner, sessionId } = await begin()

    await owner.append(sessionId, 0, { state: '{"turn":1}', status: 'paused' })

    expect(await bus.log.peek(sessionId)).toMatchObject({ head: '0-0', state: '{"turn":1}', status: 'paused' })
    await owner.append(sessionId, 1, { state: undefined })
    expect(await bus.log.peek(sessionId)).toMatchObject({ head: '1-1', state: '{"turn":1}', status: 'active' })
  })

  test('the largest permitted commit fits', async () => {
    const { bus, owner, sessionId } = await begin()
    const filler = 'x'.repeat(LIMITS.charsPerCommit / LIMITS.eventsPerCommit - 200)
    const events = Array.from({ length: LIMITS.eventsPerCommit }, (_, index) =>
      JSON.stringify({ ...JSON.parse(eventBody(sessionId, `1-${index + 1}`)), filler }),
    )

    await owner.append(sessionId, 0, { events })

    expect((await logOf(bus, sessionId)).map((it) => it.body)).toEqual(events)
  })

  test('streamed text grows by offset, repeats are harmless, a gap is named', async () => {
    const { bus, owner, sessionId } = await begin()
    const part = async () => (await bus.log.load(sessionId))?.part

    expect(await owner.flush(sessionId, 'msg_1', 0, 'é😀')).toEqual({ status: 'ok' })
    expect(await owner.flush(sessionId, 'msg_1', 6, ' nul \u0000')).toEqual({ status: 'ok' })
    expect(await owner.flush(sessionId, 'msg_1', 0, 'é😀')).toEqual({ status: 'ok' })
    expect(await part()).toEqual({ messageId: 'msg_1', text: 'é😀 nul \u0000' })

    expect(await owner.flush(sessionId, 'msg_1', 13, 'x')).toEqual({ status: 'gap', bytes: 12 })
    expect(await owner.flush(sessionId, 'msg_2', 5, 'x')).toEqual({ status: 'gap', bytes: 0 })
    expect(await part()).toEqual({ messageId: 'msg_1', text: 'é😀 nul \u0000' })

    expect(await owner.flush(sessionId, 'msg_2', 0, 'new')).toEqual({ status: 'ok' })
    expect(await part()).toEqual({ messageId: 'msg_2', text: 'new' })
  })

  test('the part stays until the commit that completes its message', async () => {
    const { bus, owner, sessionId } = await begin()
    await owner.flush(sessionId, 'msg_1', 0, 'text')
    await owner.append(sessionId, 1)
    expect((await bus.log.load(sessionId))?.part).toEqual({ messageId: 'msg_1', text: 'text' })

    await owner.append(sessionId, 1, { clearPart: true })

    expect((await bus.log.load(sessionId))?.part).toBeUndefined()
    // The same id may come again: it starts from nothing.
    expect(await owner.flush(sessionId, 'msg_1', 0, 'again')).toEqual({ status: 'ok' })
    expect((await bus.log.load(sessionId))?.part).toEqual({ messageId: 'msg_1', text: 'again' })
  })
})
