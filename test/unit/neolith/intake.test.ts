/**
 * Events of a Neolith with a clock of the test: pages, what comes late, what is known, and what is acknowledged.
 */
import { expect, test } from 'vitest'
import { Intake } from '../../../src/neolith/intake.js'
import type { Message, NeolithEvent } from '../../../src/neolith/types.js'
import type { NewNeolithTask } from '../../../src/storage/neolith-tasks.js'

const START = Date.parse('2026-01-01T00:00:00.000Z')
const DAY_MS = 24 * 60 * 60 * 1_000

/** Gives 100 events behind `since`, as Neolith does, and keeps what was taken in, as the database does. */
function world(keptSince?: number) {
  const state = {
    now: START,
    events: [] as NeolithEvent[],
    asked: [] as (number | undefined)[],
    acknowledged: [] as string[],
    taken: new Map<string, NewNeolithTask>(),
    since: keptSince,
    failing: false,
    /** Messages that asked for tasks which are not over. */
    open: new Set<string>(),
    /** The thread of a message. */
    threads: new Map<string, string>(),
    lookups: 0,
  }
  const say = (id: string, at: number, said: { content?: string; type?: string; author?: object } = {}) => {
    const { content = `do ${id}`, type = 'mention', author = { id: 'alice' } } = said
    state.events.push({
      ...{ id: `msg_${id}`, type, channelId: 'chan-1', messageId: id, createdAt: new Date(at).toISOString() },
      payload: { message: { content, author } },
    })
  }
  const intake = new Intake({
    client: {
      getEvents: async (since) => {
        state.asked.push(since?.getTime())
        const from = since?.getTime() ?? state.now - 300_000
        return state.events.filter(({ createdAt }) => Date.parse(createdAt) > from).slice(0, 100)
      },
      acknowledgeEvents: async (ids) => void state.acknowledged.push(...ids),
      getChannels: async () => [],
      getMessages: async () => {
        state.lookups += 1
        const messages = state.events.map(({ messageId = '' }) => {
          return { id: messageId, parentId: state.threads.get(messageId) ?? null }
        })
        return { messages: messages as unknown as Message[] }
      },
      serverNow: () => state.now,
    },
    tasks: {
      since: async () => (state.since === undefined ? undefined : new Date(state.since)),
      take: async (_orchestrator, tasks, since) => {
        if (state.failing) throw new Error('the database is away')
        const fresh = tasks.filter(({ messageId }) => !state.taken.has(messageId))
        for (const task of fresh) state.taken.set(task.messageId, task)
        state.since = since.getTime()
        return fresh.length
      },
      openIn: async () => state.open,
    },
    ...{ orchestrator: 'orch-1', userId: 'user-1', onTaken: () => undefined },
  })
  return { state, say, intake }
}

test('the first look leaves it to Neolith from when on, the next ones begin half a minute before the last', async () => {
  const { state, intake } = world()
  await intake.look()
  state.now += 3_000
  await intake.look()

  expect(state.asked).toEqual([undefined, START - 30_000])
})

test('a message that becomes visible late is taken in, and none twice', async () => {
  const { state, say, intake } = world()
  say('early', START - 1_000)
  await intake.look()
  state.now += 20_000
  say('late', START - 5_000)

  await intake.look()
  await intake.look()

  expect([...state.taken.keys()]).toEqual(['early', 'late'])
  expect(state.acknowledged).toEqual(['msg_early', 'msg_late'])
})

test('pages are gone through to the end, also where many messages have one time', async () => {
  const { state, say, intake } = world()
  for (let i = 0; i < 250; i++) say(`m${i}`, START - 100_000 + i * 10)

  const more = [await intake.look(), await intake.look(), await intake.look()]

  expect(more).toEqual([true, true, false])
  expect(state.taken.size).toBe(250)
})

test('it goes on from where it ended, but not from more than a day ago', async () => {
  const recent = world(START - 3_600_000)
  await recent.intake.look()
  const old = world(START - 30 * DAY_MS)
  await old.intake.look()

  expect(recent.state.asked).toEqual([START - 3_600_000])
  expect(old.state.asked).toEqual([START - DAY_MS])
})

test('what is not in the database is not acknowledged, and comes again', async () => {
  const { state, say, intake } = world()
  say('one', START - 1_000)
  state.failing = true
  await expect(intake.look()).rejects.toThrow('the database is away')
  expect(state.acknowledged).toEqual([])
  state.failing = false

  await intake.look()

  expect([...state.taken.keys()]).toEqual(['one'])
  expect(state.acknowledged).toEqual(['msg_one'])
})

test('an answer in the thread of a task that is not over is taken in as that, with or without a mention', async () => {
  const { state, say, intake } = world()
  state.open.add('task')
  const inThread = (id: string, content: string, type = 'message_created', author?: object) => {
    say(id, START - 1_000, { content, type, ...(author && { author }) })
    state.threads.set(id, 'task')
  }
  inThread('a', 'Approve!')
  inThread('b', 'reject: it deletes everything')
  inThread('c', '@user-1 approve, but only the first', 'mention')
  inThread('d', 'approve? I would not')
  inThread('e', 'approve', 'message_created', { id: 'another', isOrchestrator: true })
  inThread('f', 'fine with me')
  await intake.look()

  const answer = (decision: string, reason = '') => ({ thread: 'task', decision, reason })
  expect([...state.taken.values()].map(({ messageId, answers }) => [messageId, answers])).toEqual([
    ['a', answer('approve')],
    ['b', answer('reject', 'it deletes everything')],
    ['c', answer('unclear', 'but only the first')],
  ])
})

test('outside of the thread the bare word is asked back about, and anything more is a task as ever', async () => {
  const { state, say, intake } = world()
  state.open.add('task')
  say('bare', START - 1_000, { content: '@user-1 approve' })
  say('talk', START - 1_000, { content: 'approve', type: 'message_created' })
  say('task', START - 1_000, { content: '@user-1 reject the offers of yesterday' })
  say('other', START - 1_000, { content: '@user-1 approve' })
  state.threads.set('other', 'of something else')
  await intake.look()

  expect([...state.taken.values()].map(({ messageId, answers }) => [messageId, answers?.thread])).toEqual([
    ['bare', null],
    ['task', undefined],
    ['other', undefined],
  ])
})

test('nothing is looked up where no task waits, where nobody says such a word, and not again for what is known', async () => {
  const { state, say, intake } = world()
  say('a', START - 1_000, { content: 'approve', type: 'message_created' })
  await intake.look()
  state.open.add('task')
  say('b', START - 1_000, { content: 'hello', type: 'message_created' })
  await intake.look()
  expect(state.lookups).toBe(0)

  say('c', START - 1_000, { content: 'approve', type: 'message_created' })
  await intake.look()
  await intake.look()
  expect(state.lookups).toBe(1)
})
