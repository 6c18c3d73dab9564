/**
 * What many sessions and shards ask in one turn of the event loop goes to the store together, and each gets its own
 * right answer: what is refused or fails has changed nothing, and the others go on.
 */
import { expect, test } from 'vitest'
import { type Accepted, type Change, LIMITS, type Refused } from '../../../src/bus/bus.js'
import { newNodeId, newSessionId } from '../../../src/protocol/ids.js'
import { ARRIVAL, eventBody, idsOf, logOf, spawnOf, submission, TestEdge, TestOwner } from '../../support/bus-actors.js'
import { eachBus } from '../../support/bus-fixtures.js'

/** Of one lane, so that Redis Cluster gathers them as well, and one of another lane. */
const [FIRST, SECOND, THIRD, ELSEWHERE] = [5, 21, 37, 6] as const
const OUTBOX = 'edge@1-1'
/** What one call of the session log takes. */
const CHANGES_PER_CALL = 48
/** Larger than what goes into one call together with a second one of its size. */
const LARGE = 'x'.repeat(150 * 1024)

const ok = { status: 'ok' } as const
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index)
const sum = (numbers: readonly number[]): number => numbers.reduce((total, it) => total + it, 0)
const commandsOf = (it: Accepted | Refused | undefined) => (it?.status === 'ok' ? it.commands : [])

eachBus((fixture) => {
  /** Owners of four shards, and an edge. */
  async function begin() {
    const { bus, redis } = await fixture.open()
    const edge = await TestEdge.open(bus)
    const [first, second, third, elsewhere] = await Promise.all([
      TestOwner.claim(bus, FIRST, 5),
      TestOwner.claim(bus, SECOND, 5),
      TestOwner.claim(bus, THIRD, 5),
      TestOwner.claim(bus, ELSEWHERE, 5),
    ])
    const former = new Former(first, 4)
    return { bus, redis, edge, first, second, third, elsewhere, former }
  }

  test('submissions of one turn are each taken or refused, in the order of their session', async () => {
    const { bus, first, second, elsewhere } = await begin()
    const full = JSON.stringify('x'.repeat(LIMITS.shardBytes - 2))
    await bus.commands.submit(submission(newSessionId(THIRD), OUTBOX, { body: full }))
    const sessions = [FIRST, SECOND, THIRD, ELSEWHERE].map((shard) => newSessionId(shard))
    const sent = range(80).flatMap(() => sessions.map((it) => submission(it, OUTBOX)))

    const answers = await Promise.all(sent.map((it) => bus.commands.submit(it)))

    const busy = sessions[2]
    expect(answers.map((it) => it.status)).toEqual(sent.map((it) => (it.sessionId === busy ? 'busy' : 'ok')))
    const accepted = await Promise.all([first, second, elsewhere].map((it) => drain(it)))
    const expected = [sessions[0], sessions[1], sessions[3]].map((id) => sent.filter((it) => it.sessionId === id))
    expect(accepted).toEqual(expected)
  })

  test('shards that are accepted in one turn each get their own commands, also beside refused and idle ones', async () => {
    const { bus, edge, first, second, third, elsewhere } = await begin()
    const [one, other] = [newSessionId(FIRST), newSessionId(ELSEWHERE)]
    const waiting = submission(newSessionId(SECOND), edge.name)
    await bus.commands.submit(waiting)
    for (const it of [spawnOf(one, edge.name), submission(one, edge.name), spawnOf(other, edge.name)]) {
      await bus.commands.submit(it)
    }

    const accepted = await Promise.all([
      bus.commands.accept({ ...second.claimed, epoch: 4 }),
      first.accept(),
      bus.commands.accept({ ...second.claimed, epoch: 6 }),
      third.accept(),
      elsewhere.accept(),
    ])

    expect(accepted[0]).toEqual({ status: 'fenced', epoch: 5 })
    expect(commandsOf(accepted[1]).map((it) => it.acceptance.status)).toEqual(['new', 'new'])
    expect(accepted[2]).toEqual({ status: 'rollback', epoch: 5 })
    expect(accepted[3]).toMatchObject({ status: 'ok', commands: [], more: false })
    expect(commandsOf(accepted[4]).map((it) => it.submission.sessionId)).toEqual([other])
    await expect.poll(() => edge.acceptances(), ARRIVAL).toHaveLength(3)
    expect(commandsOf(await second.accept()).map((it) => it.submission)).toEqual([waiting])
  })

  test('changes of one turn: each is carried out, refused or known, and what is refused has changed nothing', async () => {
    const { bus, edge, first, second, elsewhere, former } = await begin()
    const good = await first.spawn(edge.name)
    const fenced = await first.spawn(edge.name)
    const ahead = await second.spawn(edge.name)
    const moved = await second.spawn(edge.name)
    const tooFew = await first.spawn(edge.name)
    const known = await second.spawn(edge.name)
    const far = await elsewhere.spawn(edge.name)
    const last = await first.spawn(edge.name)
    await second.append(moved, 2)
    const repeated = await second.append(known, 1)
    const untouched = [fenced, ahead, moved, tooFew, known]
    const before = await Promise.all(untouched.map((it) => bus.log.load(it)))

    const results = await Promise.allSettled([
      first.commit(first.change(good, 0, 2, { popInbox: 1 })),
      former.commit(first.change(fenced, 0, 1, { popInbox: 1 })),
      bus.log.commit({ ...second.claimed, epoch: 9 }, second.change(ahead, 0, 1, { popInbox: 1 })),
      second.commit(second.change(moved, 0, 1, { popInbox: 1 })),
      first.commit(first.change(tooFew, 0, 1, { popInbox: 2 })),
      second.commit(repeated),
      elsewhere.commit(elsewhere.change(far, 0, 1)),
      first.commit(first.change(newSessionId(FIRST), 0, 1)),
      first.commit(first.change(last, 0, 1, { state: '{"turn":1}' })),
    ])

    const answers = results.map((it) => (it.status === 'fulfilled' ? it.value : it.reason))
    expect(answers).toMatchObject([
      ok,
      { status: 'fenced', epoch: 5 },
      { status: 'rollback', epoch: 5 },
      { status: 'head', seq: 2 },
      { status: 'corrupt' },
      ok,
      ok,
      { status: 'head' },
      ok,
    ])
    expect(await Promise.all(untouched.map((it) => bus.log.load(it)))).toEqual(before)
    expect(await bus.log.load(good)).toMatchObject({ head: '5-2', inbox: [] })
    expect(await bus.log.load(last)).toMatchObject({ head: '5-1', state: '{"turn":1}' })
    await expect.poll(() => idsOf(edge.events(last)), ARRIVAL).toEqual(['5-1'])
    expect([fenced, ahead, tooFew].flatMap((it) => edge.events(it))).toEqual([])
    expect(idsOf(edge.events(known))).toEqual(['5-1'])
  })

  test('text of one turn: each piece is taken, known or refused, and edges see what was new', async () => {
    const { bus, edge, first, second, elsewhere, former } = await begin()
    const [good, torn, fenced] = [
      await first.spawn(edge.name),
      await first.spawn(edge.name),
      await first.spawn(edge.name),
    ]
    const [ahead, known, far] = [
      await second.spawn(edge.name),
      await second.spawn(edge.name),
      await elsewhere.spawn(edge.name),
    ]
    for (const [owner, id] of [
      [first, torn],
      [second, known],
    ] as const)
      await owner.flush(id, 'msg_1', 0, 'kept')
    const piece = { sessionId: ahead, messageId: 'msg_1', offset: 0, text: 'x', headSeq: 0, json: '{}' }

    const answers = await Promise.all([
      first.flush(good, 'msg_1', 0, 'é'),
      first.flush(torn, 'msg_1', 5, 'x'),
      former.flush(fenced),
      bus.log.flush({ ...second.claimed, epoch: 9 }, piece),
      second.flush(known, 'msg_1', 0, 'kept'),
      first.flush(newSessionId(FIRST), 'msg_1', 0, 'x'),
      elsewhere.flush(far, 'msg_1', 0, 'far'),
      first.flush(good, 'msg_1', 2, 'text'),
    ])

    expect(answers).toEqual([
      ok,
      { status: 'gap', bytes: 4 },
      { status: 'fenced', epoch: 5 },
      { status: 'rollback', epoch: 5 },
      ok,
      { status: 'gap', bytes: 0 },
      ok,
      ok,
    ])
    const parts = await Promise.all(
      [good, torn, fenced, ahead, known].map(async (it) => (await bus.log.load(it))?.part),
    )
    expect(parts.map((it) => it?.text)).toEqual(['étext', 'kept', undefined, undefined, 'kept'])
    await expect
      .poll(() => edge.texts(good), ARRIVAL)
      .toMatchObject([
        { offset: 0, bytes: 2 },
        { offset: 2, bytes: 4 },
      ])
    expect([torn, known].map((it) => edge.texts(it).length)).toEqual([1, 1])
    expect([fenced, ahead].flatMap((it) => edge.texts(it))).toEqual([])
  })

  test('several changes of a session in one turn are carried out one after the other', async () => {
    const { bus, edge, first, second } = await begin()
    const sessions = [await first.spawn(edge.name), await second.spawn(edge.name)]
    const owners = [first, second]

    const answers = await Promise.all(
      range(10).flatMap((step) => owners.map((it, index) => it.commit(it.change(sessions[index] ?? '', 2 * step, 2)))),
    )

    expect(answers).toEqual(answers.map(() => ok))
    const ids = range(20).map((index) => `5-${index + 1}`)
    for (const id of sessions) {
      expect(idsOf(await logOf(bus, id))).toEqual(ids)
      await expect.poll(() => idsOf(edge.events(id)), ARRIVAL).toEqual(ids)
      expect(edge.events(id).map((it) => it.body)).toEqual(ids.map((eventId) => eventBody(id, eventId)))
    }
  })

  test('each edge sees the sessions that it watches, whole and in order, out of a turn of many', async () => {
    const { bus, edge, first, second } = await begin()
    const watcher = await TestEdge.open(bus)
    const owners = range(30).map((index) => (index % 2 === 0 ? first : second))
    const sessions = await Promise.all(owners.map((it) => it.spawn(edge.name)))
    const watched = sessions.filter((_, index) => index % 3 === 0)
    for (const id of watched) await bus.log.resume(id, watcher.name, 'now', 10)

    await Promise.all(owners.map((it, index) => it.commit(it.change(sessions[index] ?? '', 0, 1 + (index % 4)))))
    await Promise.all(owners.map((it, index) => it.flush(sessions[index] ?? '', 'msg_1', 0, `text ${index}`)))

    const count = (index: number) => range(1 + (index % 4)).map((it) => `5-${it + 1}`)
    for (const [index, id] of sessions.entries()) {
      await expect
        .poll(() => edge.texts(id), ARRIVAL)
        .toMatchObject([{ json: expect.stringContaining(`text ${index}`) }])
      expect(idsOf(edge.events(id))).toEqual(count(index))
      await expect.poll(() => watcher.texts(id).length, ARRIVAL).toBe(watched.includes(id) ? 1 : 0)
      expect(idsOf(watcher.events(id))).toEqual(watched.includes(id) ? count(index) : [])
    }
  })

  test('an edge that is gone is unsubscribed from all sessions of the turn, and the others go on', async () => {
    const { bus, edge, first, second } = await begin()
    const id = newNodeId('edge')
    const gone = await TestEdge.open(bus, id)
    const sessions = await Promise.all([first, second, first, second].map((it) => it.spawn(gone.name)))
    for (const it of sessions) await bus.log.resume(it, edge.name, 'now', 10)
    await gone.stop()
    const [commits, flushes] = [sessions.slice(0, 2), sessions.slice(2)]
    await Promise.all([
      ...commits.map((it, index) => (index === 0 ? first : second).append(it, 1)),
      ...flushes.map((it, index) => (index === 0 ? first : second).flush(it, 'msg_1', 0, 'text')),
    ])

    // The same name again shows which sessions still count on it.
    const namesake = await TestEdge.open(bus, id)
    expect(namesake.name).toBe(gone.name)
    await Promise.all(sessions.map((it, index) => (index % 2 === 0 ? first : second).append(it, 1)))
    await first.acceptances(submission(newSessionId(FIRST), namesake.name))

    await expect.poll(() => namesake.acceptances(), ARRIVAL).toHaveLength(1)
    for (const it of sessions) {
      await expect.poll(() => edge.events(it).length, ARRIVAL).toBe(commits.includes(it) ? 2 : 1)
      expect(namesake.events(it)).toEqual([])
    }
  })

  test('more changes, and larger ones, than one call takes are all carried out', async () => {
    const { bus, redis, edge, first } = await begin()
    const spawns = range(2 * CHANGES_PER_CALL + 4).map(() => spawnOf(newSessionId(FIRST), edge.name))
    const sessions = (await first.acceptances(...spawns)).map((it) => it.sessionId)
    await expect.poll(() => edge.acceptances().length, ARRIVAL).toBe(sessions.length)
    const large = sessions.slice(0, 4)
    const calls = async (work: () => Promise<unknown>): Promise<number | undefined> => {
      const before = await redis?.outLength(edge.name, FIRST)
      await work()
      return before === undefined ? undefined : ((await redis?.outLength(edge.name, FIRST)) ?? 0) - before
    }

    const many = await calls(() => Promise.all(sessions.map((it) => first.append(it, 1))))
    const bodies = large.map((it) => JSON.stringify({ ...JSON.parse(eventBody(it, '5-2')), filler: LARGE }))
    const wide = await calls(() =>
      Promise.all(large.map((it, n) => first.append(it, 1, { events: [bodies[n] ?? ''] }))),
    )
    const texts = await calls(() => Promise.all(large.map((it) => first.flush(it, 'msg_1', 0, LARGE))))

    if (fixture.isRedis) expect([many, wide, texts]).toEqual([3, large.length, large.length])
    for (const [n, id] of sessions.entries()) {
      const stored = await logOf(bus, id)
      expect(idsOf(stored)).toEqual(n < large.length ? ['5-1', '5-2'] : ['5-1'])
      expect(stored[1]?.body).toBe(bodies[n])
      await expect.poll(() => edge.events(id), ARRIVAL).toEqual(stored)
    }
    expect((await bus.log.load(large[3] ?? ''))?.part?.text).toBe(LARGE)
  })

  test('a turn accepts a bounded number of commands, and says of which shards more wait', async () => {
    const { bus, first, second, third } = await begin()
    const owners = [first, second, third]
    const each = range(LIMITS.acceptCommands / 2 + 1)
    const sent = owners.map((it) => each.map(() => submission(newSessionId(it.claimed.shard), OUTBOX)))
    await Promise.all(sent.flat().map((it) => bus.commands.submit(it)))
    const got = owners.map((): unknown[] => [])

    for (let waiting = [...owners.keys()]; waiting.length > 0; ) {
      const batches = await Promise.all(waiting.map((index) => owners[index]?.accept()))
      for (const [at, index] of waiting.entries())
        got[index]?.push(...commandsOf(batches[at]).map((it) => it.submission))
      const counts = batches.map((it) => commandsOf(it).length)
      const most = fixture.isRedis ? sum(counts) : Math.max(...counts)
      expect(most).toBeLessThanOrEqual(LIMITS.acceptCommands)
      waiting = waiting.filter((_, at) => batches[at]?.status === 'ok' && batches[at].more)
    }

    expect(got).toEqual(sent)
  })

  test('a shard where very many commands wait does not keep another one waiting', async () => {
    const { bus, first, second } = await begin()
    const flood = range(15 * LIMITS.acceptCommands).map(() => submission(newSessionId(FIRST), OUTBOX))
    const lone = submission(newSessionId(SECOND), OUTBOX)
    await Promise.all([...flood, lone].map((it) => bus.commands.submit(it)))

    // The flooded shard asks first each time, as a reader does that was told that more wait.
    let flooded = true
    let isAccepted = false
    while (flooded && !isAccepted) {
      const [batch, other] = await Promise.all([first.accept(), second.accept()])
      flooded = batch.status === 'ok' && batch.more
      isAccepted = commandsOf(other).length > 0
    }

    expect(isAccepted).toBe(true)
    expect(flooded).toBe(true)
  })

  test('of what one step takes each shard gives the same part, and one command at least', async () => {
    const { bus, first, second, third } = await begin()
    const owners = [first, second, third]
    const waiting = [6 * LIMITS.acceptCommands, 3, 2 * LIMITS.acceptCommands]
    const sent = owners.map(({ claimed }, at) =>
      range(waiting[at] ?? 0).map(() => submission(newSessionId(claimed.shard), OUTBOX)),
    )
    await Promise.all(sent.flat().map((it) => bus.commands.submit(it)))

    const batches = await Promise.all(owners.map((it) => it.accept()))

    const taken = batches.map((it) => commandsOf(it).map(({ submission }) => submission))
    expect(taken).toEqual(sent.map((all, at) => all.slice(0, taken[at]?.length)))
    const counts = taken.map((it) => it.length)
    const all = LIMITS.acceptCommands
    if (fixture.isRedis) expect(counts).toEqual([all - 1 - all / 4, 1, all / 4])
    else expect(counts).toEqual([all, 3, all])
    expect(batches.map((it) => it.status === 'ok' && it.more)).toEqual([true, fixture.isRedis, true])
  })

  test('shards of all lanes are claimed, written and released in one turn', async () => {
    const { bus } = await fixture.open()
    const edge = await TestEdge.open(bus)
    const shards = range(48).map((index) => 200 + index)
    const owners = await Promise.all(shards.map((shard) => TestOwner.claim(bus, shard, 2)))
    const sessions = await Promise.all(owners.map((it) => it.spawn(edge.name)))
    await Promise.all(owners.map((it, index) => it.append(sessions[index] ?? '', 1)))

    const claims = await Promise.all(
      owners.map(({ claimed }, index) => bus.log.claim({ ...claimed, epoch: index % 2 === 0 ? 1 : 3 })),
    )
    const commits = await Promise.all(owners.map((it, index) => it.commit(it.change(sessions[index] ?? '', 1, 1))))
    await Promise.all(owners.map((it) => bus.log.release(it.claimed)))

    expect(claims).toMatchObject(
      sessions.map((it, index) =>
        index % 2 === 0
          ? { status: 'fenced', epoch: 2 }
          : { status: 'ok', active: [it], unprojected: [it], pins: [], cold: [] },
      ),
    )
    expect(commits).toEqual(sessions.map((_, index) => (index % 2 === 0 ? ok : { status: 'fenced', epoch: 3 })))
    for (const [index, id] of sessions.entries()) {
      await expect.poll(() => idsOf(edge.events(id)), ARRIVAL).toEqual(index % 2 === 0 ? ['2-1', '2-2'] : ['2-1'])
    }
    const again = await Promise.all(shards.map((shard) => TestOwner.claim(bus, shard, 4)))
    expect(again).toHaveLength(shards.length)
  })

  test.runIf(fixture.isRedis)(
    'a change at which the server fails does so alone, and edges see all others',
    async () => {
      const { bus, redis, edge, first, second } = await begin()
      const [good, spoilt, late] = [
        await first.spawn(edge.name),
        await first.spawn(edge.name),
        await second.spawn(edge.name),
      ]
      await redis?.spoil(spoilt, 'log')
      const before = await bus.log.load(spoilt)

      const results = await Promise.allSettled([
        first.commit(first.change(good, 0, 2)),
        first.commit(first.change(spoilt, 0, 1, { popInbox: 1 })),
        second.commit(second.change(late, 0, 1)),
      ])

      expect(results).toMatchObject([
        { status: 'fulfilled', value: ok },
        { status: 'rejected', reason: { message: expect.stringContaining('WRONGTYPE') } },
        { status: 'fulfilled', value: ok },
      ])
      expect(await bus.log.load(spoilt)).toEqual(before)
      await expect.poll(() => idsOf(edge.events(late)), ARRIVAL).toEqual(['5-1'])
      expect(idsOf(edge.events(good))).toEqual(['5-1', '5-2'])
    },
  )

  test.runIf(fixture.isRedis)('text and commands at which the server fails do so alone', async () => {
    const { redis, edge, first, second } = await begin()
    const [good, spoilt] = [await first.spawn(edge.name), await second.spawn(edge.name)]
    await redis?.spoil(spoilt, 'part')
    await redis?.spoil(spoilt, 'inbox')
    const [lost, taken] = [submission(spoilt, edge.name), submission(good, edge.name)]
    for (const it of [lost, taken]) await first.bus.commands.submit(it)

    // A message of the same id is looked for in its key; another one would replace the key.
    await redis?.spoil(good, 'part')
    expect(await first.flush(good, 'msg_1', 0, 'replaces it')).toEqual(ok)
    await redis?.spoil(good, 'part')
    const texts = await Promise.allSettled([
      first.flush(good, 'msg_1', 11, 'x'),
      second.flush(spoilt, 'msg_1', 0, 'text'),
    ])
    const accepted = await Promise.allSettled([second.accept(), first.accept()])

    const wrongType = { status: 'rejected', reason: { message: expect.stringContaining('WRONGTYPE') } }
    expect(texts).toMatchObject([wrongType, { status: 'fulfilled', value: ok }])
    expect(accepted).toMatchObject([wrongType, { status: 'fulfilled', value: { commands: [{ submission: taken }] } }])
    await expect.poll(() => edge.texts(spoilt), ARRIVAL).toHaveLength(1)
  })
})

/** All commands that wait in the owner's shard. */
async function drain(owner: TestOwner) {
  for (const commands = []; ; ) {
    const accepted = await owner.accept()
    commands.push(...commandsOf(accepted).map((it) => it.submission))
    if (accepted.status !== 'ok' || !accepted.more) return commands
  }
}

/** A worker that owned a shard under an earlier epoch. */
class Former {
  constructor(
    private readonly owner: TestOwner,
    private readonly epoch: number,
  ) {}

  commit(change: Change) {
    return this.owner.bus.log.commit({ ...this.owner.claimed, epoch: this.epoch }, change)
  }

  flush(sessionId: string) {
    const piece = { sessionId, messageId: 'msg_1', offset: 0, text: 'x', headSeq: 0, json: '{}' }
    return this.owner.bus.log.flush({ ...this.owner.claimed, epoch: this.epoch }, piece)
  }
}
