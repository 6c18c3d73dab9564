/**
 * Takes Neolith's events in: what asks for something becomes a row, once, before Neolith is told that it was heard.
 *
 *   since ─▶ events ─▶ rows and the new since, in one step ─▶ acknowledged
 *
 * A message that may answer what a task waits for is looked up among the channel's messages: events do not say which thread
 * one is in.
 */
import type { NeolithTasks, NewNeolithTask } from '../storage/neolith-tasks.js'
import { messageOf, taskIn, type WrittenMessage } from './addressed.js'
import { answerIn } from './answer-words.js'
import type { NeolithApiClient } from './api-client.js'
import type { NeolithEvent } from './types.js'

/** Events that one answer has at most; then there may be more at once. */
const PAGE = 100
/** Messages may become visible later than their time says. What was taken in before is known by its id. */
const OVERLAP_MS = 30_000
/** After a long absence nobody wants what was asked for before. */
const MAX_BACKLOG_MS = 24 * 60 * 60 * 1_000
/** Ids that need not be acknowledged again: the events of the overlap, many times over. */
const MAX_HEARD = 2_000
/** Newest messages of a channel among which one that has just come is looked for; the most that Neolith gives. */
const LOOK_LIMIT = 100
/** Who is spoken to directly is asked again after this time. */
const CHANNELS_KEPT_MS = 60_000

export interface IntakeOptions {
  readonly client: Pick<
    NeolithApiClient,
    'getEvents' | 'acknowledgeEvents' | 'getChannels' | 'getMessages' | 'serverNow'
  >
  readonly tasks: Pick<NeolithTasks, 'since' | 'take' | 'openIn'>
  readonly orchestrator: string
  readonly userId: string
  /** New tasks have come. */
  readonly onTaken: (count: number) => void
}

export class Intake {
  readonly #options: IntakeOptions
  #since: Date | undefined
  #begun = false
  readonly #heard = new Set<string>()
  #direct: ReadonlySet<string> = new Set()
  #channelsAt = Number.NEGATIVE_INFINITY

  constructor(options: IntakeOptions) {
    this.#options = options
  }

  /** Takes in what there is. Returns whether there may be more at once. @throws NeolithError, and what the database throws */
  async look(): Promise<boolean> {
    const { client, tasks, orchestrator } = this.#options
    if (!this.#begun) this.#since = await this.#whereItEnded()
    this.#begun = true
    const lookedAt = client.serverNow()
    const events = await client.getEvents(this.#since)
    const full = events.length >= PAGE
    const since = this.#next(events, full, lookedAt)
    const taken = await tasks.take(orchestrator, await this.#tasksIn(events), since)
    this.#since = since
    if (taken > 0) this.#options.onTaken(taken)
    await this.#acknowledge(events)
    return full
  }

  async #whereItEnded(): Promise<Date | undefined> {
    const { tasks, orchestrator, client } = this.#options
    const since = await tasks.since(orchestrator)
    return since && new Date(Math.max(since.getTime(), client.serverNow() - MAX_BACKLOG_MS))
  }

  /** Never back, and always on behind a full page. */
  #next(events: readonly NeolithEvent[], full: boolean, lookedAt: number): Date {
    const before = this.#since?.getTime() ?? 0
    const last = Math.max(...events.map(({ createdAt }) => Date.parse(createdAt)))
    return new Date(full ? Math.max(last, before + 1) : Math.max(lookedAt - OVERLAP_MS, before))
  }

  async #tasksIn(events: readonly NeolithEvent[]): Promise<readonly NewNeolithTask[]> {
    // What was acknowledged is in the database.
    const fresh = events.filter(({ id }) => !this.#heard.has(id))
    if (fresh.length === 0) return []
    const { userId } = this.#options
    const direct = await this.#directChannels()
    const found: NewNeolithTask[] = []
    for (const event of fresh) {
      const message = messageOf(event, { userId, direct })
      const row = message && ((await this.#answerIn(message)) ?? (message.isForUs ? taskIn(message) : undefined))
      if (row) found.push(row)
    }
    return found
  }

  /** Undefined for a message that answers nothing. Only a few are looked up: those that begin with such a word. */
  async #answerIn(message: WrittenMessage): Promise<NewNeolithTask | undefined> {
    const { client, tasks, orchestrator } = this.#options
    const { channelId, messageId, isForUs, byOrchestrator } = message
    const answer = byOrchestrator ? undefined : answerIn(message.content)
    if (!answer) return undefined
    const open = await tasks.openIn(orchestrator, channelId)
    if (open.size === 0) return undefined
    const { messages } = await client.getMessages(channelId, { limit: LOOK_LIMIT })
    const thread = messages.find(({ id }) => id === messageId)?.parentId ?? null
    const isAbout = thread !== null && open.has(thread)
    // Alone it asks for nothing, with more words it may; and people who talk to each other are not interrupted.
    const isStray = thread === null && isForUs && answer.reason === ''
    if (!isAbout && !isStray) return undefined
    if (answer.decision === 'unclear' && !isForUs) return undefined
    return { ...taskIn(message), answers: { ...answer, thread } }
  }

  async #directChannels(): Promise<ReadonlySet<string>> {
    if (performance.now() - this.#channelsAt < CHANNELS_KEPT_MS) return this.#direct
    const channels = await this.#options.client.getChannels()
    this.#direct = new Set(channels.filter(({ type }) => type === 'DM').map(({ id }) => id))
    this.#channelsAt = performance.now()
    return this.#direct
  }

  async #acknowledge(events: readonly NeolithEvent[]): Promise<void> {
    const fresh = events.map(({ id }) => id).filter((id) => !this.#heard.has(id))
    await this.#options.client.acknowledgeEvents(fresh)
    for (const id of fresh) this.#heard.add(id)
    for (const id of this.#heard) {
      if (this.#heard.size <= MAX_HEARD) return
      this.#heard.delete(id)
    }
  }
}
