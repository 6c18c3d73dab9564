/**
 * A session's log as somebody reads it: events and text go in, one after the other, and out comes what was said and done,
 * in order. Replay is the same thing, stopped earlier. Items are replaced, never changed, so that only what is new is drawn.
 */
import type { LoggedEvent, StreamChunk } from '../../src/protocol/events.js'
import type { Session, SessionStatus, TaskUsage } from '../../src/protocol/session.js'

interface Common {
  readonly key: string
  /** ms since 1970. */
  readonly at: number
  readonly agent?: string | undefined
}

export interface TaskItem extends Common {
  readonly kind: 'task'
  readonly taskId: string
  readonly description: string
}

export interface MessageItem extends Common {
  readonly kind: 'message'
  readonly text: string
  readonly model: string
  /** Undefined while it is being said. */
  readonly tokens: number | undefined
}

export interface ToolItem extends Common {
  readonly kind: 'tool'
  readonly callId: string
  readonly name: string
  readonly input: object
  readonly state: 'asking' | 'running' | 'completed' | 'failed'
  readonly output?: object | string | undefined
  readonly approval?: Approval | undefined
  readonly endedAt?: number | undefined
}

export interface NoteItem extends Common {
  readonly kind: 'note'
  readonly tone: 'plain' | 'good' | 'warn' | 'bad'
  readonly title: string
  readonly text?: string | undefined
}

export type Item = TaskItem | MessageItem | ToolItem | NoteItem

export interface Approval {
  readonly approvalId: string
  readonly reason: string
  readonly level: 'confirm' | 'escalate'
  readonly expiresAt: string
  readonly outcome?: string | undefined
  readonly by?: string | undefined
  readonly comment?: string | undefined
}

export class Story {
  readonly #items: Item[] = []
  readonly #places = new Map<string, number>()
  session: Session | undefined
  /** The task that is being worked on. */
  running: string | undefined
  tokens = 0
  cost = 0

  get items(): readonly Item[] {
    return this.#items
  }

  get status(): SessionStatus | undefined {
    return this.session?.status
  }

  /** Begins in the middle: what was before is not known here. */
  beginWith(session: Session): void {
    this.session = session
    const at = Date.now()
    this.add({ kind: 'note', key: 'reset', at, tone: 'warn', title: 'Earlier events are no longer available' })
  }

  text({ data }: StreamChunk): void {
    this.change<MessageItem>(data.messageId, (item) => ({ ...item, text: item.text + data.chunk }))
  }

  tell(event: LoggedEvent): void {
    const tell = TELL[event.type] as ((story: Story, event: LoggedEvent) => void) | undefined
    // An event of a newer version: it happened, and that much can be said.
    if (tell) tell(this, event)
    else this.note(event, 'plain', (event as LoggedEvent).type.replaceAll('_', ' '))
  }

  note({ eventId, timestamp }: LoggedEvent, tone: NoteItem['tone'], title: string, text?: string): void {
    this.add({ kind: 'note', key: eventId, at: Date.parse(timestamp), tone, title, text })
  }

  /** What is there already stays: a model call that is repeated after a takeover goes on in its own message. */
  add(item: Item): void {
    if (this.#places.has(item.key)) return
    this.#places.set(item.key, this.#items.length)
    this.#items.push(item)
  }

  /** The key says of which kind the item is. Returns false when there is none. */
  change<T extends Item>(key: string, change: (item: T) => T): boolean {
    const place = this.#places.get(key)
    const item = place === undefined ? undefined : this.#items[place]
    if (place === undefined || !item) return false
    this.#items[place] = change(item as T)
    return true
  }
}

type Telling = {
  readonly [T in LoggedEvent['type']]: (story: Story, event: Extract<LoggedEvent, { type: T }>) => void
}

const TELL: Telling = {
  session_spawned: (story, event) => {
    story.session = event.session
  },
  session_status_update: (story, event) => {
    if (event.session.status !== story.status) story.note(event, 'plain', `Session ${event.session.status}`)
    story.session = event.session
  },
  task_executing: (story, event) => {
    const { eventId, taskId, timestamp, task } = event
    story.running = taskId
    story.add({ kind: 'task', key: eventId, at: Date.parse(timestamp), taskId, description: task.description })
  },
  task_completed: (story, event) => taskEnded(story, event, 'good', 'Task completed', spent(event.usage)),
  task_failed: (story, event) => taskEnded(story, event, 'bad', 'Task failed', event.error),
  task_cancelled: (story, event) => taskEnded(story, event, 'warn', 'Task cancelled', event.reason),
  stream_start: (story, { messageId, timestamp, agent, metadata: { model } }) =>
    story.add({
      kind: 'message',
      key: messageId,
      at: Date.parse(timestamp),
      agent,
      text: '',
      model,
      tokens: undefined,
    }),
  stream_end: (story, { messageId, text, metadata: { totalTokens, cost } }) => {
    story.tokens += totalTokens
    story.cost += cost
    story.change<MessageItem>(messageId, (item) => ({ ...item, text, tokens: totalTokens }))
  },
  tool_call_start: (story, { data: { callId, toolName, toolInput }, timestamp, agent }) =>
    toolCalled(story, callId, Date.parse(timestamp), toolName, toolInput, agent),
  tool_call_result: (story, { data: { callId, status, result, error }, timestamp }) => {
    const end = { state: status, output: error ?? result, endedAt: Date.parse(timestamp) }
    story.change<ToolItem>(callId, (item) => ({ ...item, ...end }))
  },
  approval_request: (story, event) => {
    const { approvalId, callId, reason, level, expiresAt, toolName, toolInput, timestamp } = event
    toolCalled(story, callId, Date.parse(timestamp), toolName, toolInput)
    const approval = { approvalId, reason, level, expiresAt }
    story.change<ToolItem>(callId, (item) => ({ ...item, state: 'asking', approval }))
  },
  approval_resolved: (story, { callId, status, decidedBy, comment }) =>
    void story.change<ToolItem>(callId, (item) => ({
      ...item,
      approval: item.approval && { ...item.approval, outcome: status, by: decidedBy, comment },
      state: status === 'approved' ? 'running' : 'failed',
    })),
  session_takeover: (story, event) =>
    story.note(event, 'warn', `Taken over by ${event.worker}`, `from ${event.fromWorker} after ${event.afterMs} ms`),
  budget_alert: (story, event) => {
    const { scope, id, threshold, period, level } = event.data
    const text = `${period} budget of ${scope} ${id}`
    story.note(event, level === 'info' ? 'plain' : 'warn', `Budget at ${threshold} %`, text)
  },
  context_compacted: (story, event) =>
    story.note(event, 'plain', `Conversation summed up (${event.messages} messages)`, event.summary),
  memory_recalled: (story, event) => story.note(event, 'plain', `${event.items.length} memories recalled`, event.text),
  conversation_retold: (story, event) =>
    story.note(event, 'warn', 'The conversation was told again from the log', event.reason),
}

function taskEnded(story: Story, event: LoggedEvent, tone: NoteItem['tone'], title: string, text: string): void {
  story.running = undefined
  story.note(event, tone, title, text)
}

/** A call that was asked about, or that another owner runs again, is there already. */
function toolCalled(story: Story, callId: string, at: number, name: string, input: object, agent?: string): void {
  const fresh: ToolItem = { kind: 'tool', key: callId, callId, at, name, input, agent, state: 'running' }
  const again = (item: ToolItem): ToolItem => ({ ...fresh, at: item.at, approval: item.approval })
  if (!story.change<ToolItem>(callId, again)) story.add(fresh)
}

const spent = ({ promptTokens, completionTokens, duration }: TaskUsage): string =>
  `${(promptTokens + completionTokens).toLocaleString('en')} tokens in ${(duration / 1000).toFixed(1)} s`

/** The story up to and with the event at `count`: what a reader saw then, without text that was still being said. */
export function storyUntil(events: readonly LoggedEvent[], count: number): Story {
  const story = new Story()
  for (const event of events.slice(0, count)) story.tell(event)
  return story
}
