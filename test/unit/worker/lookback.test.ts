/**
 * A session that is read back as far as it is needed goes on as one that is read back whole.
 */
import { expect, test } from 'vitest'
import { Window } from '../../../src/memory/window.js'
import type { LoggedEvent, NewEvent } from '../../../src/protocol/events.js'
import { newTask } from '../../../src/protocol/session.js'
import { Conversation } from '../../../src/worker/conversation.js'
import { type Lookback, Reach } from '../../../src/worker/lookback.js'
import { type SeededRandom, seededRandom } from '../../support/random.js'

const base = { sessionId: 's', timestamp: '2026-01-01T00:00:00.000Z' }
const spent = { totalTokens: 3, duration: 1, promptTokens: 2, completionTokens: 1, cost: 0.1 }

/** Events of one session after another, as a worker records them, and the conversation that it has meanwhile. */
class Story {
  readonly events: NewEvent[] = []
  readonly conversation = new Conversation(() => 'context')
  #turns = 0
  #messages = 0

  constructor(private readonly random: SeededRandom) {}

  /** A task with some answers and calls; ends, or breaks off. */
  turn(ends: boolean): void {
    this.begin()
    const steps = Math.floor(this.random.next() * 6)
    for (let step = 0; step < steps; step++) {
      if (this.random.next() < 0.2) this.sumUp(true)
      this.answer(Math.floor(this.random.next() * 3))
    }
    const taskId = `t${this.#turns}`
    const usage = { promptTokens: 0, completionTokens: 0, cost: 0, duration: 0 }
    if (ends) this.#add({ type: 'task_completed', ...base, taskId, result: { success: true, output: '' }, usage })
    else if (this.random.next() < 0.5) this.#start(`m${++this.#messages}`)
  }

  begin(): void {
    const turn = ++this.#turns
    const task = { ...newTask(`task number ${turn}`, new Date(0)), id: `t${turn}` }
    this.#add({ type: 'task_executing', ...base, taskId: task.id, task, turn })
    if (this.random.next() < 0.3) this.#add({ type: 'memory_recalled', ...base, text: `known ${turn}`, items: [] })
  }

  answer(calls: number): void {
    const messageId = `m${++this.#messages}`
    const toolCalls = Array.from({ length: calls }, (_, n) => ({ callId: `${messageId}c${n}`, name: 'x', input: {} }))
    const finishReason = calls > 0 ? 'tool_calls' : 'stop'
    this.#start(messageId)
    const text = `said in ${messageId}`
    this.#add({ type: 'stream_end', ...base, messageId, text, toolCalls, finishReason, metadata: spent })
    for (const { callId } of toolCalls) {
      const data = { sessionId: 's', callId, toolName: 'x', timestamp: base.timestamp }
      this.#add({
        type: 'tool_call_start',
        ...base,
        data: { ...data, toolInput: {}, effect: 'read', status: 'started' },
      })
      this.#add({ type: 'tool_call_result', ...base, data: { ...data, status: 'completed', result: { callId } } })
    }
  }

  /** As the loop does it: three messages at least, and never between a call and its result. */
  sumUp(saysKept: boolean): void {
    const { messages } = this.conversation.progress(undefined)
    let first = 3 + Math.floor(this.random.next() * messages.length)
    while (first < messages.length && messages[first]?.role === 'tool') first += 1
    if (first > messages.length) return
    const kept = saysKept ? { kept: messages.length - first } : {}
    const metadata = { ...spent, model: 'x', tokensBefore: 9, tokensAfter: 1 }
    const summary = `summary ${this.events.length}`
    const messageId = `m${++this.#messages}`
    this.#add({ type: 'context_compacted', ...base, messageId, messages: first, ...kept, summary, facts: [], metadata })
  }

  readBack(lookback: Lookback, contextTokens: number): { readonly read: number; readonly conversation: Conversation } {
    const reach = new Reach(lookback, contextTokens)
    const logged = this.events as unknown as readonly LoggedEvent[]
    const found = logged.toReversed().findIndex((event) => reach.take(event, JSON.stringify(event).length))
    const needed = found < 0 ? logged : logged.slice(-found - 1)
    const conversation = new Conversation(() => lookback)
    for (const event of needed) conversation.apply(event)
    return { read: needed.length, conversation }
  }

  #start(messageId: string): void {
    this.#add({ type: 'stream_start', ...base, messageId, metadata: { model: 'x' } })
  }

  #add(event: NewEvent): void {
    this.events.push(event)
    this.conversation.apply(event)
  }
}

const stateOf = (conversation: Conversation) => ({
  ...{ progress: conversation.progress(undefined), usage: conversation.usage(0) },
  ...{ task: conversation.open?.task.id, attempts: conversation.open?.attempts },
})

test('with summaries, whatever happened, nothing is missed and little is read', () => {
  const random = seededRandom('lookback')
  let longest = 0
  for (let round = 0; round < 300; round++) {
    const story = new Story(random)
    const turns = random.integer(1, 20)
    for (let turn = 1; turn <= turns; turn++) story.turn(turn < turns || random.next() < 0.5)
    const { read, conversation } = story.readBack('context', 1_000_000)

    expect(stateOf(conversation), `round ${round}`).toEqual(stateOf(story.conversation))
    longest = Math.max(longest, story.events.length - read)
  }
  expect(longest).toBeGreaterThan(100)
})

test('a session that was summed up a thousand tasks ago and since is read from its last summary on', () => {
  const story = new Story(seededRandom('story'))
  for (let turn = 0; turn < 1_000; turn++) {
    story.turn(true)
    if (turn % 20 !== 19) continue
    story.begin()
    story.sumUp(true)
    story.answer(0)
  }

  const { read, conversation } = story.readBack('context', 1_000_000)

  expect(story.events.length).toBeGreaterThan(5_000)
  expect(read).toBeLessThan(story.events.length / 10)
  expect(stateOf(conversation)).toEqual(stateOf(story.conversation))
})

test('a summary that does not say what it kept is counted from the beginning', () => {
  const story = new Story(seededRandom('story'))
  for (let turn = 0; turn < 9; turn++) story.turn(true)
  story.begin()
  const before = story.events.length
  while (story.events.length === before) story.sumUp(false)
  story.answer(1)

  const { read, conversation } = story.readBack('context', 1)

  expect(read).toBe(story.events.length)
  expect(stateOf(conversation)).toEqual(stateOf(story.conversation))
})

test('without summaries as much is read as can be sent, and the same is sent', async () => {
  const maxTokens = 2_000
  const window = new Window({ maxTokens, compactionEnabled: false, threshold: 0.8 })
  const sent = async (conversation: Conversation) => {
    const { messages } = conversation.progress(undefined)
    const model = { provider: 'openai', name: 'x' } as const
    const fitted = await window.fit({ model, system: 'be brief', tools: [], messages, maxTokens: 500 })
    return { fitted, was: messages.length }
  }
  const story = new Story(seededRandom('story'))
  for (let turn = 0; turn < 400; turn++) {
    story.begin()
    story.answer(2)
    story.answer(0)
  }

  const { read, conversation } = story.readBack('context', maxTokens)

  expect(read).toBeLessThan(story.events.length / 2)
  const [whole, part] = [await sent(story.conversation), await sent(conversation)]
  expect(part.fitted).toEqual(whole.fitted)
  expect(part.fitted.length).toBeLessThan(part.was)
})

test('of a runtime with a transcript of its own the task at hand is read, whole', () => {
  const story = new Story(seededRandom('story'))
  for (let turn = 0; turn < 50; turn++) story.turn(true)
  story.begin()
  story.answer(2)
  story.answer(1)

  const { read, conversation } = story.readBack('task', 128_000)

  expect(read).toBeLessThan(15)
  const { messages, ...rest } = story.conversation.progress(undefined)
  const task = messages.findLastIndex(({ role }) => role === 'user')
  expect(conversation.progress(undefined)).toEqual({ ...rest, messages: messages.slice(task) })
  expect(conversation.usage(0)).toEqual(story.conversation.usage(0))
})

test('of a runtime that never looks back the unfinished task is read, and nothing before it', () => {
  const story = new Story(seededRandom('load tool'))
  for (let turn = 0; turn < 50; turn++) story.turn(true)
  story.begin()
  story.answer(1)

  const { read, conversation } = story.readBack('nothing', 128_000)

  expect(read).toBeLessThan(10)
  expect(conversation.open).toEqual(story.conversation.open)
  expect(conversation.progress(undefined).messages).toEqual([])
})
