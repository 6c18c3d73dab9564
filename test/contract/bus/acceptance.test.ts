/**
 * What becomes of a command when the owner of its shard accepts it.
 */
import { expect, test } from 'vitest'
import { LIMITS } from '../../../src/bus/bus.js'
import { newSessionId } from '../../../src/protocol/ids.js'
import { ARRIVAL, spawnOf, submission, TestEdge, TestOwner } from '../../support/bus-actors.js'
import { eachBus } from '../../support/bus-fixtures.js'

const SHARD = 9

eachBus((fixture) => {
  async function begin() {
    const { bus } = await fixture.open()
    const edge = await TestEdge.open(bus)
    const owner = await TestOwner.claim(bus, SHARD)
    return { bus, edge, owner }
  }

  test('a fresh spawn creates the session with its command waiting', async () => {
    const { bus, edge, owner } = await begin()
    const sessionId = newSessionId(SHARD)
    const spawn = spawnOf(sessionId, edge.name)

    const [acceptance] = await owner.acceptances(spawn)

    expect(acceptance).toEqual({ sessionId, commandId: sessionId, status: 'new', detail: '' })
    expect(await bus.log.load(sessionId)).toEqual({
      sessionId,
      tenant: 'acme',
      status: 'initializing',
      head: '0-0',
      state: '',
      floor: '0-0',
      part: undefined,
      inbox: [spawn.body],
      control: [],
      lastCommit: '',
    })
    expect((await bus.log.claim(owner.claimed)) as object).toMatchObject({ active: [sessionId], unprojected: [] })
  })

  test('a repeated spawn of an existing session is a dup, fresh or not', async () => {
    const { bus, edge, owner } = await begin()
    const sessionId = await owner.spawn(edge.name)

    const statuses = await owner.acceptances(
      spawnOf(sessionId, edge.name),
      spawnOf(sessionId, edge.name, false),
      submission(sessionId, edge.name, { type: 'spawn', commandId: 'another', fresh: true }),
    )

    expect(statuses.map((it) => it.status)).toEqual(['dup', 'dup', 'dup'])
    expect((await bus.log.load(sessionId))?.inbox).toHaveLength(1)
  })

  test('a command for a session that is not here waits, and its edge hears just that', async () => {
    const { bus, edge, owner } = await begin()
    const [absent, known] = [newSessionId(SHARD), newSessionId(SHARD)]

    const acceptances = await owner.acceptances(
      submission(absent, edge.name),
      spawnOf(absent, edge.name, false),
      spawnOf(known, edge.name),
    )

    expect(acceptances.map((it) => it.status)).toEqual(['cold', 'cold', 'new'])
    expect(await bus.log.load(absent)).toBeUndefined()
    await expect.poll(() => edge.acceptances(), ARRIVAL).toEqual(acceptances)
  })

  test('commands keep their order, and control commands have a list of their own', async () => {
    const { bus, edge, owner } = await begin()
    const sessionId = await owner.spawn(edge.name)
    const commands = (['execute', 'stop', 'execute', 'pause', 'resume', 'cancel', 'approval', 'execute'] as const).map(
      (type) => submission(sessionId, edge.name, { type }),
    )

    await owner.acceptances(...commands)

    const record = await bus.log.load(sessionId)
    const bodies = (control: boolean) =>
      commands.filter((it) => (it.type !== 'execute') === control).map((it) => it.body)
    expect(record?.inbox.slice(1)).toEqual(bodies(false))
    expect(record?.control).toEqual(bodies(true))
  })

  test('a command id that was accepted is a dup, in the same batch too, and names the event that ended it', async () => {
    const { bus, edge, owner } = await begin()
    const sessionId = await owner.spawn(edge.name)
    const command = submission(sessionId, edge.name)

    const first = await owner.acceptances(command, command)
    await owner.append(sessionId, 2, { popInbox: 2, ended: [{ commandId: command.commandId, eventId: '1-2' }] })
    const [late] = await owner.acceptances(command)

    expect(first.map((it) => [it.status, it.detail])).toEqual([
      ['new', ''],
      ['dup', ''],
    ])
    expect(late).toMatchObject({ status: 'dup', detail: '1-2' })
    expect((await bus.log.load(sessionId))?.inbox).toEqual([])
  })

  test('a session that has ended answers final with its status, but dup for an id that it knows', async () => {
    const { bus, edge, owner } = await begin()
    const sessionId = await owner.spawn(edge.name)
    const ended = [{ commandId: sessionId, eventId: '1-1' }]
    await owner.append(sessionId, 1, { status: 'terminated', popInbox: 1, ended })

    const statuses = await owner.acceptances(
      submission(sessionId, edge.name),
      submission(sessionId, edge.name, { type: 'resume' }),
      submission(sessionId, edge.name, { commandId: sessionId }),
    )

    expect(statuses.map((it) => [it.status, it.detail])).toEqual([
      ['final', 'terminated'],
      ['final', 'terminated'],
      ['dup', '1-1'],
    ])
    expect((await bus.log.load(sessionId))?.inbox).toEqual([])
  })

  test('at least the promised number of ids is remembered, and of old ones their end too', async () => {
    const { edge, owner } = await begin()
    const sessionId = await owner.spawn(edge.name)
    const first = submission(sessionId, edge.name)
    await owner.acceptances(first)
    const others = Array.from({ length: LIMITS.seenCommands - 1 }, () => submission(sessionId, edge.name))
    for (let at = 0; at < others.length; at += 100) await owner.acceptances(...others.slice(at, at + 100))
    // By now the oldest ids are in the older generation; the event that ends one must find it there.
    await owner.append(sessionId, 1, { popInbox: 2, ended: [{ commandId: first.commandId, eventId: '1-1' }] })

    const [oldest, ...rest] = await owner.acceptances(first, ...others.slice(0, 100))

    expect(oldest).toMatchObject({ status: 'dup', detail: '1-1' })
    expect(new Set(rest.map((it) => it.status))).toEqual(new Set(['dup']))
  })

  test('a command id may be any text', async () => {
    const { edge, owner } = await begin()
    const sessionId = await owner.spawn(edge.name)
    const odd = submission(sessionId, edge.name, { commandId: 'a \u0000 "\\ {}:é😀', body: '{"a":"\\u0000"}' })

    const statuses = await owner.acceptances(odd, odd)

    expect(statuses.map((it) => it.status)).toEqual(['new', 'dup'])
    await expect.poll(() => edge.acceptances().at(-1)?.commandId, ARRIVAL).toBe(odd.commandId)
  })

  test('accepting moves the cursor, so that a new owner accepts only what nobody accepted', async () => {
    const { bus, edge, owner } = await begin()
    const sessionId = await owner.spawn(edge.name)
    await owner.acceptances(submission(sessionId, edge.name), submission(sessionId, edge.name))
    const left = submission(sessionId, edge.name)
    await bus.commands.submit(left)

    const next = await TestOwner.claim(bus, SHARD, 2)
    const found = await next.acceptances()

    expect(found).toEqual([{ sessionId, commandId: left.commandId, status: 'new', detail: '' }])
    expect((await bus.log.load(sessionId))?.inbox).toHaveLength(4)
    expect(await next.acceptances()).toEqual([])
  })

  test('an accepted command comes with its submission as it was sent', async () => {
    const { owner, edge } = await begin()
    const sessionId = newSessionId(SHARD)
    const body = '{"é":"\\u0000"}'
    const spawn = submission(sessionId, edge.name, { commandId: sessionId, type: 'spawn', fresh: true, body })
    const stop = submission(sessionId, edge.name, { type: 'stop', tenant: 'other' })

    const accepted = await owner.accept(spawn, stop)

    expect(accepted).toMatchObject({
      status: 'ok',
      more: false,
      commands: [
        { submission: spawn, acceptance: { sessionId, commandId: sessionId, status: 'new', detail: '' } },
        { submission: stop, acceptance: { sessionId, commandId: stop.commandId, status: 'new', detail: '' } },
      ],
    })
  })

  test('commands beyond a batch are accepted by the next calls, in order', async () => {
    const { bus, owner } = await begin()
    const sessionId = newSessionId(SHARD)
    const sent = Array.from({ length: 2 * LIMITS.acceptCommands + 1 }, () => submission(sessionId, 'edge@1-1'))
    await Promise.all(sent.map((it) => bus.commands.submit(it)))

    const batches: { readonly ids: string[]; readonly more: boolean }[] = []
    do {
      const accepted = await owner.accept()
      if (accepted.status !== 'ok') throw new Error(`accept was refused: ${accepted.status}`)
      batches.push({ ids: accepted.commands.map((it) => it.submission.commandId), more: accepted.more })
    } while (batches.at(-1)?.more)

    expect(batches.map((it) => it.ids.length)).toEqual([LIMITS.acceptCommands, LIMITS.acceptCommands, 1])
    expect(batches.flatMap((it) => it.ids)).toEqual(sent.map((it) => it.commandId))
  })
})
