/**
 * One task of Neolith on its way to a session and back, with a door and a store of the test.
 */
import { expect, test } from 'vitest'
import type { Answered } from '../../../src/neolith/answer-words.js'
import { Undeliverable } from '../../../src/neolith/poster.js'
import {
  type SessionAnswer,
  type Story,
  StoryBroken,
  type TaskOutcome,
  TaskRefused,
} from '../../../src/neolith/session-door.js'
import { TaskRun } from '../../../src/neolith/task-run.js'
import type { Position } from '../../../src/protocol/commands.js'
import type { ServerMessage } from '../../../src/protocol/events.js'
import type { NeolithTaskRow, Posting } from '../../../src/storage/neolith-tasks.js'

const TASK = 'neolith-m1'
const ROW: NeolithTaskRow = {
  ...{ orchestrator: 'orch-1', messageId: 'm1', channelId: 'chan-1', content: 'build it', author: 'alice' },
  ...{ sessionId: null, position: null, posting: null, failures: 0 },
}
const posting = (kind: Posting['kind']): Posting => ({
  ...{ key: `m1/${kind}`, content: kind, kind, taskId: TASK, position: { eventId: '1-2' } },
})

const event = (seq: number, type: string, more: object = {}): ServerMessage =>
  ({ type, eventId: `1-${seq}`, sessionId: 's', timestamp: '', ...more }) as unknown as ServerMessage
const STARTED = event(2, 'task_executing', { taskId: TASK })
const COMPLETED = event(3, 'task_completed', { taskId: TASK, result: { success: true, output: 'built' } })

type Part = ServerMessage | Error

interface Scene {
  /** What each opening of the door gives. */
  readonly stories: readonly (readonly Part[] | Error)[]
  readonly row?: Partial<NeolithTaskRow>
  /** Whether the row is still ours. */
  readonly held?: (what: string) => boolean
  readonly end?: TaskOutcome
  readonly deliver?: (posting: Posting) => void
  /** The task that is answered, where the row is an answer. */
  readonly task?: NeolithTaskRow
  readonly answered?: Answered | Error
}

async function play({ stories, row = {}, held = () => true, end, deliver = () => undefined, ...about }: Scene) {
  const answers: SessionAnswer[] = []
  const threads: string[] = []
  const written: [string, boolean][] = []
  const steps: string[] = []
  const opened: (Position | null)[] = []
  const step = async (what: string): Promise<boolean> => {
    steps.push(what)
    return held(what)
  }
  const run = new TaskRun(
    {
      watcher: 'node-a',
      tasks: {
        find: async () => about.task,
        noteSession: (_row, sessionId) => step(`session ${sessionId}`),
        announce: (_row, { kind }) => step(`announce ${kind}`),
        posted: (_row, { kind }) => step(`posted ${kind}`),
        postpone: async () => void (await step('postpone')),
        finish: (_row, status) => step(`finish ${status}`),
      },
      door: {
        open: async (_row, from) => {
          const story = stories[opened.length]
          opened.push(from)
          if (story === undefined || story instanceof Error) throw story ?? new Error('nothing more is told')
          return told(story)
        },
        answer: async (_row, answer) => {
          answers.push(answer)
          if (about.answered instanceof Error) throw about.answered
          return about.answered ?? { kind: 'nothing' }
        },
        end: async () => end,
      },
      poster: {
        deliver: async ({ messageId }, each, unsure) => {
          deliver(each)
          threads.push(messageId)
          written.push([each.content, unsure])
        },
      },
      ...{ onWritten: () => undefined, onEnded: () => undefined },
    },
    { ...ROW, ...row },
    new AbortController().signal,
  )
  await run.carryOut()
  return { written, steps, opened, answers, threads }
}

const told = (parts: readonly Part[]): Story => ({
  sessionId: 's',
  close: () => undefined,
  async *[Symbol.asyncIterator]() {
    for (const part of parts) {
      if (part instanceof Error) throw part
      yield part
    }
  },
})

test('each message is announced before it is written and noted after, and the last one ends the task', async () => {
  const { written, steps } = await play({ stories: [[STARTED, COMPLETED]] })

  expect(written).toEqual([
    ['On it.', false],
    ['built', false],
  ])
  expect(steps).toEqual(['session s', 'announce started', 'posted started', 'announce result', 'finish answered'])
})

test('what another node was writing may have arrived; the story goes on behind it', async () => {
  const { written, opened } = await play({
    stories: [[COMPLETED]],
    row: { sessionId: 's', posting: posting('progress') },
  })

  expect(written).toEqual([
    ['progress', true],
    ['built', false],
  ])
  expect(opened).toEqual([{ eventId: '1-2' }])
})

test('where that was the last message the session is not asked at all', async () => {
  const { written, steps, opened } = await play({
    stories: [],
    row: { sessionId: 's', posting: posting('result') },
  })

  expect(written).toEqual([['result', true]])
  expect([steps, opened]).toEqual([['finish answered'], []])
})

test('a story that breaks off is gone on with behind what was told', async () => {
  const { written, opened } = await play({ stories: [[STARTED, new StoryBroken('slow')], [COMPLETED]] })

  expect(written.map(([content]) => content)).toEqual(['On it.', 'built'])
  expect(opened).toEqual([null, { eventId: '1-2' }])
})

test('who holds the task no more writes nothing more', async () => {
  const { written, steps } = await play({
    stories: [[STARTED, COMPLETED]],
    held: (what) => what !== 'announce result',
  })

  expect(written.map(([content]) => content)).toEqual(['On it.'])
  expect(steps.at(-1)).toBe('announce result')
})

test('a task that the service refuses is answered with the reason', async () => {
  const { written, steps } = await play({ stories: [new TaskRefused('That is too long', false)] })

  expect(written).toEqual([['That is too long', false]])
  expect(steps).toEqual(['announce failed', 'finish refused'])
})

test('a task that the service cannot take now waits', async () => {
  expect(await play({ stories: [new TaskRefused('busy', true)] })).toMatchObject({ written: [], steps: ['postpone'] })
})

test('an answer that Neolith never takes ends the task', async () => {
  const deliver = ({ kind }: Posting): void => {
    if (kind === 'result') throw new Undeliverable('CHANNEL_ACCESS_DENIED')
  }

  const { steps } = await play({ stories: [[STARTED, COMPLETED]], deliver })

  expect(steps.slice(-2)).toEqual(['announce result', 'finish unanswered'])
})

test('an end that the story does not tell any more is read from the database', async () => {
  const reset = { type: 'subscribed', sessionId: 's', eventId: '3-9', reset: true } as ServerMessage

  const end = { kind: 'result', words: 'built long ago' } as const
  const told = [await play({ stories: [[reset]], end }), await play({ stories: [[]], end })]

  for (const { written, steps } of told) {
    expect(written).toEqual([['built long ago', false]])
    expect(steps).toEqual(['session s', 'announce result', 'finish answered'])
  }
})

test('what goes wrong in the stores ends nothing: somebody goes on later', async () => {
  await expect(play({ stories: [new Error('the database is away')] })).rejects.toThrow('the database is away')
})

const ANSWER = { thread: 'm1', decision: 'approve', reason: '' } as const
const REPLY = { messageId: 'm2', author: 'alice', answers: ANSWER } as const

test('an answer is carried out with who says it, told in the thread of the task, and over', async () => {
  const { answers, written, threads, steps, opened } = await play({
    ...{ stories: [], row: REPLY, task: { ...ROW, sessionId: 's' }, answered: { kind: 'done', tool: 'bash' } },
  })

  expect(answers).toEqual([{ decision: 'approve', comment: 'alice in Neolith', messageId: 'm2' }])
  expect([written, threads]).toEqual([[['Allowed: bash.', false]], ['m1']])
  expect(steps).toEqual(['announce answer', 'finish answered'])
  expect(opened).toEqual([])
})

test.each([
  ['somebody else', { author: 'bob' }, 'Only whoever asked'],
  ['nobody that is known', { author: null }, 'Only whoever asked'],
  ['someone who says more', { answers: { ...ANSWER, decision: 'unclear' } as const }, 'not sure what you mean'],
  ['someone outside of the thread', { answers: { ...ANSWER, thread: null } }, 'in the thread of the task'],
])('an answer of %s decides nothing, and is answered', async (_who, row, words) => {
  const task = 'answers' in row && row.answers.thread === null ? {} : { task: ROW }
  const { answers, written } = await play({ stories: [], row: { ...REPLY, ...row }, ...task })

  expect(answers).toEqual([])
  expect(written).toEqual([[expect.stringContaining(words), false]])
})

test('an answer that the service cannot take now is tried again', async () => {
  const { written, steps } = await play({
    ...{ stories: [], row: REPLY, task: ROW, answered: new TaskRefused('busy', true) },
  })

  expect([written, steps]).toEqual([[], ['postpone']])
})
