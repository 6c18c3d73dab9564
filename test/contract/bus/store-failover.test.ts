/**
 * What an owner finds out when the store has lost the end of what was written to it, and what it can put back.
 */
import { expect, test, vi } from 'vitest'
import { type Claim, LIMITS, type StoreFailover } from '../../../src/bus/bus.js'
import type { Submission } from '../../../src/bus/command.js'
import { newSessionId } from '../../../src/protocol/ids.js'
import { idsOf, logOf, spawnOf, submission, TestEdge, TestOwner } from '../../support/bus-actors.js'
import { eachBus } from '../../support/bus-fixtures.js'

const SHARD = 21
const OUTBOX = 'edge@1-1'

eachBus((fixture) => {
  test('an accept that names a cursor which the store has not reached is refused and takes nothing', async () => {
    const { bus } = await fixture.open()
    const owner = await TestOwner.claim(bus, SHARD)
    const sessionId = await owner.spawn(OUTBOX)
    await bus.commands.submit(submission(sessionId, OUTBOX))

    const [ms = '', n = ''] = (await cursorOf(owner)).split('-')

    for (const ahead of [`${Number(ms) + 1}-0`, `${ms}-${Number(n) + 1}`]) {
      // In one process there is only one number.
      if (!fixture.isRedis && ahead.endsWith('-0')) continue
      expect(await bus.commands.accept(owner.claimed, ahead)).toEqual({ status: 'rollback', epoch: 1 })
    }
    expect(await bus.log.load(sessionId)).toMatchObject({ inbox: [expect.any(String)] })
  })

  test('the cursor that a claim tells, and each accept after it, is the one to name next', async () => {
    const { bus } = await fixture.open()
    const owner = await TestOwner.claim(bus, SHARD)
    const first = await cursorOf(owner)
    await bus.commands.submit(spawnOf(newSessionId(SHARD), OUTBOX))

    const accepted = await bus.commands.accept(owner.claimed, first)

    expect(accepted).toMatchObject({ status: 'ok', skipped: false, cursor: await cursorOf(owner) })
    expect(accepted).not.toMatchObject({ cursor: first })
    const again = await bus.commands.accept(owner.claimed, first)
    expect(again).toMatchObject({ status: 'ok', skipped: true, commands: [] })
  })

  test('a commit that names another commit before it than the store has is refused', async () => {
    const { bus } = await fixture.open()
    const owner = await TestOwner.claim(bus, SHARD)
    const sessionId = await owner.spawn(OUTBOX)
    const first = await owner.append(sessionId, 1, { after: '' })
    const silent = owner.change(sessionId, 1, 0, { after: first.commitId, popInbox: 1 })
    const next = owner.change(sessionId, 1, 1, { after: silent.commitId })

    expect(await owner.commit(next)).toEqual({ status: 'head', seq: 1 })
    expect(await owner.commit(silent)).toEqual({ status: 'ok' })
    expect(await owner.commit({ ...silent, commitId: 'other' })).toEqual({ status: 'head', seq: 1 })
    expect(await owner.commit(next)).toEqual({ status: 'ok' })
    expect(await bus.log.load(sessionId)).toMatchObject({ head: '1-2', inbox: [], lastCommit: next.commitId })
  })

  test('events are put back under the epoch that wrote them', async () => {
    const { bus } = await fixture.open()
    const owner = await TestOwner.claim(bus, SHARD, 7)
    const edge = await TestEdge.open(bus)
    const sessionId = await owner.spawn(edge.name)
    await owner.append(sessionId, 2)
    const next = await TestOwner.claim(bus, SHARD, 9)

    expect(await next.commit(next.change(sessionId, 2, 2, { eventEpoch: 7 }))).toEqual({ status: 'ok' })
    await next.append(sessionId, 1)

    expect(idsOf(await logOf(bus, sessionId))).toEqual(['7-1', '7-2', '7-3', '7-4', '9-5'])
    await expect.poll(() => idsOf(edge.events(sessionId))).toEqual(['7-1', '7-2', '7-3', '7-4', '9-5'])
  })

  test('text under a head that the store does not have is refused, also the first of a message', async () => {
    const { bus } = await fixture.open()
    const owner = await TestOwner.claim(bus, SHARD)
    const sessionId = await owner.spawn(OUTBOX)
    await owner.append(sessionId, 1)

    expect(await owner.flush(sessionId, 'msg_1', 0, 'lost', 2)).toEqual({ status: 'gap', bytes: 0 })
    expect(await owner.flush(sessionId, 'msg_1', 0, 'here', 1)).toEqual({ status: 'ok' })
  })

  if (!fixture.isRedis) {
    test('a bus in one process loses nothing, and has nothing to put it back', async () => {
      expect((await fixture.open()).bus.failover).toBeUndefined()
    })
    return
  }

  async function begin() {
    const { bus, redis } = await fixture.open()
    const owner = await TestOwner.claim(bus, SHARD)
    if (!redis || !bus.failover) throw new Error('a Redis that can fail over')
    return { bus, owner, store: bus.failover, ...redis }
  }

  test('accepted commands go back in their order, before what came later, and are known when they come again', async () => {
    const { bus, owner, store, remember } = await begin()
    const sessionId = await owner.spawn(OUTBOX)
    const [kept, lost, pause] = [submission(sessionId, OUTBOX), submission(sessionId, OUTBOX), pauseOf(sessionId)]
    await owner.accept(kept)
    // The command stream survives with one of the two; what an edge sends anew comes behind it.
    await bus.commands.submit(lost)
    const forget = await remember()
    await owner.acceptances(pause)
    const known = await cursorOf(owner)
    await forget()
    const later = submission(sessionId, OUTBOX)
    await bus.commands.submit(later)

    expect(await bus.commands.accept(owner.claimed, known)).toMatchObject({ status: 'rollback' })
    expect(await store.restore(owner.claimed, [kept, lost, pause])).toEqual({ status: 'ok' })
    const acceptances = await owner.acceptances(pause)

    expect(acceptances.map(({ status }) => status)).toEqual(['dup', 'new', 'dup'])
    expect(await bus.log.load(sessionId)).toMatchObject({
      inbox: [expect.any(String), kept.body, lost.body, later.body],
      control: [pause.body],
    })
  })

  test('a lost spawn comes back with its session, its commands and its events', async () => {
    const { bus, owner, store, remember } = await begin()
    const forget = await remember()
    const spawn = spawnOf(newSessionId(SHARD), OUTBOX)
    const { sessionId } = spawn
    const execute = submission(sessionId, OUTBOX)
    await owner.acceptances(spawn, execute)
    const ended = [{ commandId: spawn.commandId, eventId: '1-2' }]
    const change = await owner.append(sessionId, 2, { popInbox: 1, ended, after: '' })
    const before = await bus.log.load(sessionId)
    await forget()
    expect(await bus.log.load(sessionId)).toBeUndefined()

    await store.restore(owner.claimed, [spawn, execute])
    expect(await owner.commit(change)).toEqual({ status: 'ok' })

    expect(await bus.log.load(sessionId)).toEqual(before)
    expect(await owner.acceptances(spawn, execute)).toMatchObject([
      { status: 'dup', detail: '1-2' },
      { status: 'dup', detail: '' },
    ])
    expect(await bus.log.claim(owner.claimed)).toMatchObject({ active: [sessionId], unprojected: [sessionId] })
  })

  test('putting back twice, or what is there, changes nothing', async () => {
    const { bus, owner, store } = await begin()
    const sessionId = await owner.spawn(OUTBOX)
    const execute = submission(sessionId, OUTBOX)
    await owner.acceptances(execute)
    await owner.append(sessionId, 1, { popInbox: 2 })
    const before = await bus.log.load(sessionId)

    const all = [spawnOf(sessionId, OUTBOX), execute]
    await store.restore(owner.claimed, all)
    await store.restore(owner.claimed, all)

    expect(await bus.log.load(sessionId)).toEqual(before)
  })

  test('ids that are put back count towards what is remembered', async () => {
    const { bus, owner, store } = await begin()
    const sessionId = await owner.spawn(OUTBOX)
    const lost = Array.from({ length: LIMITS.seenCommands }, () => submission(sessionId, OUTBOX))

    await restoreAll(store, owner.claimed, lost)

    const [first, last] = [lost[0], lost.at(-1)]
    if (!first || !last) throw new Error('some commands')
    expect((await owner.acceptances(first, last)).map(({ status }) => status)).toEqual(['dup', 'dup'])
    expect((await bus.log.load(sessionId))?.inbox).toHaveLength(LIMITS.seenCommands + 1)
  })

  test('nothing is put back under an epoch that is not the stored one', async () => {
    const { bus, owner, store } = await begin()
    const spawn = spawnOf(newSessionId(SHARD), OUTBOX)
    await TestOwner.claim(bus, SHARD, 3)

    expect(await store.restore(owner.claimed, [spawn])).toEqual({ status: 'fenced', epoch: 3 })
    expect(await store.restore({ ...owner.claimed, epoch: 4 }, [spawn])).toEqual({ status: 'rollback', epoch: 3 })
    expect(await bus.log.load(spawn.sessionId)).toBeUndefined()
  })

  test('a claim tells when the shard was last whole in another server, until its owner has settled', async () => {
    const { bus, owner, store, pretendServer } = await begin()
    expect(await bus.log.claim(owner.claimed)).toMatchObject({ storeChanged: false })
    await pretendServer(SHARD, 'another server')

    expect(await bus.log.claim(owner.claimed)).toMatchObject({ storeChanged: true })
    expect(await bus.log.claim(owner.claimed)).toMatchObject({ storeChanged: true })
    await store.settle(owner.claimed)

    expect(await bus.log.claim(owner.claimed)).toMatchObject({ storeChanged: false })
  })

  test('a paused shard refuses commands until it is claimed again, and only its owner pauses it', async () => {
    const { bus, owner, store } = await begin()
    const sessionId = await owner.spawn(OUTBOX)
    await store.pause({ ...owner.claimed, epoch: 0 })
    expect(await bus.commands.submit(submission(sessionId, OUTBOX))).toEqual({ status: 'ok' })

    await store.pause(owner.claimed)
    expect(await bus.commands.submit(submission(sessionId, OUTBOX))).toMatchObject({ status: 'busy' })
    const other = newSessionId(SHARD + 1)
    expect(await bus.commands.submit(submission(other, OUTBOX))).toEqual({ status: 'ok' })
    await bus.log.claim(owner.claimed)

    expect(await bus.commands.submit(submission(sessionId, OUTBOX))).toEqual({ status: 'ok' })
  })

  test('the watch says of every lane that its server is the same', async () => {
    const { store } = await begin()
    const onChanged = vi.fn()
    const same = new Set<number>()
    const watch = store.watch({
      onChanged,
      onSame: (isAffected) => {
        for (let shard = 0; shard < 64; shard++) if (isAffected(shard)) same.add(shard)
      },
    })

    await watch.check()
    await watch.check()
    watch.stop()

    expect(same.size).toBe(64)
    expect(onChanged).not.toHaveBeenCalled()
  })
})

async function cursorOf(owner: TestOwner): Promise<string> {
  const claimed = await owner.bus.log.claim(owner.claimed)
  if (claimed.status !== 'ok') throw new Error('fenced')
  return claimed.cursor
}

async function restoreAll(store: StoreFailover, claim: Claim, commands: readonly Submission[]): Promise<void> {
  for (let at = 0; at < commands.length; at += 128) {
    expect(await store.restore(claim, commands.slice(at, at + 128))).toEqual({ status: 'ok' })
  }
}

const pauseOf = (sessionId: string): Submission => submission(sessionId, OUTBOX, { type: 'pause' })
