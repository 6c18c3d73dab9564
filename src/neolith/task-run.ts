/**
 * Carries one task of Neolith through: to a session, and the session's story back into the thread of the message that asked.
 * Every message is announced in the row before it is written and noted after, so whoever takes over writes none twice.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { NeolithAnswer, NeolithTaskEnd, NeolithTaskRow, NeolithTasks, Posting } from '../storage/neolith-tasks.js'
import { ELSEWHERE, NOT_YOURS, UNCLEAR, wordsAbout } from './answer-words.js'
import { Narrator } from './narrator.js'
import { type Poster, Undeliverable } from './poster.js'
import { type SessionDoor, type Story, StoryBroken, type TaskOutcome, TaskRefused, taskIdOf } from './session-door.js'

/** Pause before the next attempt, doubled with each. */
const FIRST_PAUSE_MS = 1_000
const MAX_PAUSE_MS = 60_000
/** Looks for the end of a task whose session is over: the projection is behind by less. */
const LAST_LOOKS = 5
const LOOK_MS = 1_000
const LEFT: TaskOutcome = { kind: 'failed', words: 'The session ended before the task did.' }
const FINAL = ['result', 'failed', 'cancelled', 'answer']

export interface TaskRunDependencies {
  readonly watcher: string
  readonly tasks: Pick<NeolithTasks, 'find' | 'noteSession' | 'announce' | 'posted' | 'postpone' | 'finish'>
  readonly door: SessionDoor
  readonly poster: Pick<Poster, 'deliver'>
  readonly onWritten: () => void
  readonly onEnded: (row: NeolithTaskRow, status: NeolithTaskEnd, error?: unknown) => void
}

/** Somebody else sees to the task. */
class Lost extends Error {}

export class TaskRun {
  readonly #deps: TaskRunDependencies
  readonly #signal: AbortSignal
  readonly #key: { readonly orchestrator: string; readonly messageId: string; readonly watcher: string }
  #row: NeolithTaskRow

  /** `signal` ends it; whoever claims the row next goes on. */
  constructor(deps: TaskRunDependencies, row: NeolithTaskRow, signal: AbortSignal) {
    this.#deps = deps
    this.#row = row
    this.#signal = signal
    this.#key = { orchestrator: row.orchestrator, messageId: row.messageId, watcher: deps.watcher }
  }

  /** Resolves when the task is over or must wait; what goes wrong in the stores rejects. */
  async carryOut(): Promise<void> {
    try {
      const { posting } = this.#row
      if (posting && (await this.#deliver(posting, true))) return
      if (this.#row.answers) return void (await this.#answer(this.#row.answers))
      while (!(await this.#follow())) await this.#pause(LOOK_MS)
    } catch (error) {
      if (this.#signal.aborted || error instanceof Lost) return
      if (error instanceof Undeliverable) return this.#finish('unanswered', error)
      if (!(error instanceof TaskRefused)) throw error
      await this.#refused(error)
    }
  }

  /** What somebody says to another task. */
  async #answer(answers: NeolithAnswer): Promise<void> {
    const { messageId, orchestrator } = this.#row
    const { thread } = answers
    const task = thread === null ? undefined : await this.#deps.tasks.find({ orchestrator, messageId: thread })
    const content = await this.#wordsFor(answers, task)
    const about = { key: `${messageId}/answer`, kind: 'answer', taskId: task ? taskIdOf(task) : null } as const
    await this.#post({ ...about, content, position: { eventId: '0-0' } })
  }

  async #wordsFor(answers: NeolithAnswer, task: NeolithTaskRow | undefined): Promise<string> {
    const { author, messageId } = this.#row
    const { decision, reason } = answers
    if (!task) return ELSEWHERE
    if (decision === 'unclear') return UNCLEAR
    // Neolith says who writes, and nothing of what people may: a task is its author's, as a session is its owner's.
    if (author === null || author !== task.author) return NOT_YOURS
    const comment = [reason, `${author} in Neolith`].filter((part) => part !== '').join(' — ')
    return wordsAbout(answers, await this.#deps.door.answer(task, { decision, comment, messageId }))
  }

  /** True when the task is over; false when the story broke off and is to be gone on with. */
  async #follow(): Promise<boolean> {
    const story = await this.#deps.door.open(this.#row, this.#row.position)
    const close = (): void => story.close()
    this.#signal.addEventListener('abort', close, { once: true })
    try {
      if (this.#row.sessionId === null) await this.#noteSession(story.sessionId)
      return await this.#tell(story)
    } catch (error) {
      if (error instanceof StoryBroken) return false
      throw error
    } finally {
      this.#signal.removeEventListener('abort', close)
      story.close()
    }
  }

  async #tell(story: Story): Promise<boolean> {
    const { messageId, position: from } = this.#row
    const taskId = taskIdOf(this.#row)
    const narrator = new Narrator({ messageId, taskId, from, clock: () => performance.now() })
    for await (const message of story) {
      for (const piece of narrator.hear(message)) if (await this.#post(piece)) return true
      // What lies before it is no longer told: the end may be among it.
      if (message.type === 'subscribed' && message.reset && (await this.#missedEnd(narrator, story, 1))) return true
      this.#signal.throwIfAborted()
    }
    this.#signal.throwIfAborted()
    return this.#missedEnd(narrator, story, LAST_LOOKS, LEFT)
  }

  /** The end as the database knows it. `otherwise`: what to say when it does not. */
  async #missedEnd(narrator: Narrator, { sessionId }: Story, looks: number, otherwise?: TaskOutcome): Promise<boolean> {
    for (let look = 1; look <= looks; look++) {
      const end = await this.#deps.door.end(sessionId, taskIdOf(this.#row))
      if (end) return this.#postAll(narrator.conclude(end))
      if (look < looks) await this.#pause(LOOK_MS)
    }
    return otherwise ? this.#postAll(narrator.conclude(otherwise)) : false
  }

  async #postAll(pieces: readonly Posting[]): Promise<boolean> {
    for (const piece of pieces) if (await this.#post(piece)) return true
    return false
  }

  /** True when that was the last one. */
  async #post(posting: Posting): Promise<boolean> {
    if (!(await this.#deps.tasks.announce(this.#key, posting))) throw new Lost()
    return this.#deliver(posting, false)
  }

  async #deliver(posting: Posting, unsure: boolean): Promise<boolean> {
    const { tasks, poster, onWritten } = this.#deps
    // An answer stands in the thread of the task that it is about.
    const messageId = this.#row.answers?.thread ?? this.#row.messageId
    await poster.deliver({ ...this.#row, messageId }, posting, unsure, this.#signal)
    onWritten()
    if (FINAL.includes(posting.kind)) {
      await this.#finish('answered')
      return true
    }
    if (!(await tasks.posted(this.#key, posting))) throw new Lost()
    this.#row = { ...this.#row, posting: null, position: posting.position }
    return false
  }

  async #noteSession(sessionId: string): Promise<void> {
    if (!(await this.#deps.tasks.noteSession(this.#key, sessionId))) throw new Lost()
    this.#row = { ...this.#row, sessionId }
  }

  async #refused(error: TaskRefused): Promise<void> {
    const { tasks } = this.#deps
    if (error.retry) {
      return tasks.postpone(this.#key, Math.min(FIRST_PAUSE_MS * 2 ** this.#row.failures, MAX_PAUSE_MS))
    }
    const { messageId } = this.#row
    const key = `${messageId}/refused`
    const words = { key, content: error.message, kind: 'failed', taskId: taskIdOf(this.#row) } as const
    const posting: Posting = { ...words, position: this.#row.position ?? { eventId: '0-0' } }
    try {
      if (!(await tasks.announce(this.#key, posting))) return
      await this.#deps.poster.deliver(this.#row, posting, false, this.#signal)
      await this.#finish('refused', error)
    } catch (failure) {
      if (this.#signal.aborted) return
      if (!(failure instanceof Undeliverable)) throw failure
      await this.#finish('unanswered', failure)
    }
  }

  async #finish(status: NeolithTaskEnd, error?: unknown): Promise<void> {
    if (await this.#deps.tasks.finish(this.#key, status)) this.#deps.onEnded(this.#row, status, error)
  }

  #pause(ms: number): Promise<void> {
    return sleep(ms, undefined, { signal: this.#signal, ref: false })
  }
}
