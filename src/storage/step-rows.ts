/**
 * What the rows of `tasks` and `steps` become through a piece of the log. Pure. Events of one session come in log order,
 * each of them once; only the start of a task names its turn, so what was open before the piece is passed in.
 */
import type { LoggedEvent, LoggedEventType, NewEvent, TaskExecuting } from '../protocol/events.js'
import type { TaskUsage } from '../protocol/session.js'
import { storableText } from './text.js'

export interface ProjectedEvent {
  readonly sessionId: string
  readonly epoch: number
  readonly seq: number
  readonly type: string
  /** ISO 8601. */
  readonly at: string
  /** The event's JSON. */
  readonly body: string
  /** The same, where somebody has it parsed. */
  readonly event?: NewEvent | LoggedEvent
}

/** The last turn of a session that is stored already. */
export interface OpenTurn {
  readonly turn: number
  readonly taskId: string
  /** Steps of this turn so far. */
  readonly steps: number
}

export interface TaskEnd {
  readonly sessionId: string
  readonly turn: number
  readonly status: 'in_progress' | 'completed' | 'failed' | 'cancelled'
  readonly error: string | null
  readonly promptTokens: number
  readonly completionTokens: number
  readonly cost: number
  readonly endedAt: string | null
}

export interface TaskRow extends TaskEnd {
  readonly taskId: string
  readonly body: string
  readonly startedAt: string
}

export interface StepRow {
  readonly sessionId: string
  readonly turn: number
  readonly step: number
  readonly kind: 'model' | 'tool'
  readonly ref: string
  /** Of a model call; '' for tools. */
  readonly model: string
  readonly effect: string | null
  /** Starts seen in this piece; 0 when the step was started before it. */
  readonly attempts: number
  readonly status: 'started' | 'completed' | 'failed'
  readonly tokens: number
  readonly cost: number
  readonly startedAt: string
  readonly endedAt: string | null
}

/** A task that ended while it waited: it has no turn. */
export interface UnbegunEnd {
  readonly sessionId: string
  readonly taskId: string
  readonly status: 'failed' | 'cancelled'
  readonly at: string
}

export interface DerivedRows {
  /** Tasks that started in this piece, with their end when that is in it too. */
  readonly started: readonly TaskRow[]
  /** Ends of tasks that started before it. */
  readonly ended: readonly TaskEnd[]
  /** Ends of tasks that never started. */
  readonly unbegun: readonly UnbegunEnd[]
  readonly steps: readonly StepRow[]
}

const START: LoggedEventType = 'task_executing'
const TASK_ENDS = new Map<string, TaskEnd['status']>([
  ['task_completed', 'completed'],
  ['task_failed', 'failed'],
  ['task_cancelled', 'cancelled'],
])
/** Bodies of all other types are never parsed. */
const DERIVING = new Set<string>([
  START,
  ...TASK_ENDS.keys(),
  'stream_start',
  'stream_end',
  'tool_call_start',
  'tool_call_result',
  'context_compacted',
] satisfies LoggedEventType[] | string[])

/** Largest value of a Postgres `int`. */
const MAX_INT = 2 ** 31 - 1

/** Whether rows may follow from an event of this type. */
export const derives = (type: string): boolean => DERIVING.has(type)

/** Sessions that go on with a turn from before `events`: `deriveRows` needs their open turn. All types must derive. */
export function continuedSessions(events: readonly ProjectedEvent[]): string[] {
  const firsts = new Map<string, string>()
  for (const { sessionId, type } of events) if (!firsts.has(sessionId)) firsts.set(sessionId, type)
  return [...firsts].filter(([, type]) => type !== START).map(([sessionId]) => sessionId)
}

/**
 * The rows that follow from `events`. The end of a task that never started (cancelled or refused while it waited) has no
 * turn, and is told apart.
 */
export function deriveRows(events: readonly ProjectedEvent[], open: ReadonlyMap<string, OpenTurn>): DerivedRows {
  const fold = new Fold(open)
  for (const event of events) {
    if (derives(event.type)) fold.take(event, event.event ?? (JSON.parse(event.body) as LoggedEvent))
  }
  return fold.rows()
}

class Fold {
  readonly #open: Map<string, OpenTurn>
  readonly #started = new Map<string, TaskRow>()
  readonly #ended = new Map<string, TaskEnd>()
  readonly #unbegun = new Map<string, UnbegunEnd>()
  readonly #steps = new Map<string, StepRow>()

  constructor(open: ReadonlyMap<string, OpenTurn>) {
    this.#open = new Map(open)
  }

  rows(): DerivedRows {
    const [started, ended] = [[...this.#started.values()], [...this.#ended.values()]]
    return { started, ended, unbegun: [...this.#unbegun.values()], steps: [...this.#steps.values()] }
  }

  take(event: ProjectedEvent, body: NewEvent | LoggedEvent): void {
    switch (body.type) {
      case 'task_executing':
        this.#startTask(event, body)
        break
      case 'task_completed':
        this.#endTask(event, body.taskId, null, body.usage)
        break
      case 'task_failed':
        this.#endTask(event, body.taskId, body.error, body.usage)
        break
      case 'task_cancelled':
        this.#endTask(event, body.taskId, body.reason, body.usage)
        break
      case 'stream_start':
        this.#startStep(event, 'model', body.messageId, null, storableText(body.metadata.model))
        break
      case 'stream_end':
        this.#endStep(event, 'model', body.messageId, 'completed', body.metadata)
        break
      case 'context_compacted':
        this.#startStep(event, 'model', body.messageId, null, storableText(body.metadata.model))
        this.#endStep(event, 'model', body.messageId, 'completed', body.metadata)
        break
      case 'tool_call_start':
        this.#startStep(event, 'tool', body.data.callId, body.data.effect)
        break
      case 'tool_call_result':
        this.#endStep(event, 'tool', body.data.callId, body.data.status, undefined)
    }
  }

  #startTask({ sessionId, at }: ProjectedEvent, body: Omit<TaskExecuting, 'eventId'>): void {
    const { turn, task } = body
    const taskId = storableText(body.taskId)
    this.#open.set(sessionId, { turn, taskId, steps: 0 })
    const row = { sessionId, turn, taskId, body: JSON.stringify(task), startedAt: at }
    this.#started.set(key(sessionId, turn), {
      ...row,
      status: 'in_progress',
      error: null,
      ...usageOf(undefined),
      endedAt: null,
    })
  }

  #endTask({ sessionId, type, at }: ProjectedEvent, taskId: string, error: string | null, usage: TaskUsage): void {
    const open = this.#open.get(sessionId)
    if (open?.taskId !== storableText(taskId)) {
      this.#endUnbegun({ sessionId, type, at }, storableText(taskId))
      return
    }
    const end = {
      sessionId,
      turn: open.turn,
      status: TASK_ENDS.get(type) ?? 'failed',
      error: error === null ? null : storableText(error),
      ...usageOf(usage),
      endedAt: at,
    }
    const id = key(sessionId, open.turn)
    const started = this.#started.get(id)
    if (started) this.#started.set(id, { ...started, ...end })
    else this.#ended.set(id, end)
  }

  #endUnbegun({ sessionId, type, at }: Pick<ProjectedEvent, 'sessionId' | 'type' | 'at'>, taskId: string): void {
    const status = TASK_ENDS.get(type)
    if (status !== 'failed' && status !== 'cancelled') return
    this.#unbegun.set(key(sessionId, taskId), { sessionId, taskId, status, at })
  }

  #startStep(
    { sessionId, at }: ProjectedEvent,
    kind: StepRow['kind'],
    ref: string,
    effect: string | null,
    model = '',
  ): void {
    const open = this.#open.get(sessionId)
    if (!open) return
    const id = key(sessionId, open.turn, ref)
    const before = this.#steps.get(id)
    const step = before?.step ?? open.steps + 1
    this.#open.set(sessionId, { ...open, steps: Math.max(open.steps, step) })
    const attempts = (before?.attempts ?? 0) + 1
    this.#steps.set(id, {
      ...newStep(sessionId, open.turn, step, kind, ref, at),
      ...before,
      model,
      effect,
      attempts,
      status: 'started',
      endedAt: null,
    })
  }

  #endStep(
    { sessionId, at }: ProjectedEvent,
    kind: StepRow['kind'],
    ref: string,
    status: StepRow['status'],
    spent: { readonly totalTokens: number; readonly cost: number } | undefined,
  ): void {
    const open = this.#open.get(sessionId)
    if (!open) return
    const id = key(sessionId, open.turn, ref)
    const row = this.#steps.get(id) ?? newStep(sessionId, open.turn, Math.max(open.steps, 1), kind, ref, at)
    const tokens = row.tokens + wholeNumber(spent?.totalTokens)
    this.#steps.set(id, { ...row, status, tokens, cost: row.cost + amount(spent?.cost), endedAt: at })
  }
}

const newStep = (
  sessionId: string,
  turn: number,
  step: number,
  kind: StepRow['kind'],
  ref: string,
  startedAt: string,
): StepRow => ({
  sessionId,
  turn,
  step,
  kind,
  ref: storableText(ref),
  model: '',
  effect: null,
  attempts: 0,
  status: 'started',
  tokens: 0,
  cost: 0,
  startedAt,
  endedAt: null,
})

const key = (...parts: readonly (string | number)[]): string => parts.join(' ')

const usageOf = (usage: TaskUsage | undefined) => ({
  promptTokens: wholeNumber(usage?.promptTokens),
  completionTokens: wholeNumber(usage?.completionTokens),
  cost: amount(usage?.cost),
})

// A vendor's numbers may be missing or odd, and a row that the database refuses would stop its whole shard.
const amount = (value: number | undefined): number => (Number.isFinite(value) ? Math.max(0, value ?? 0) : 0)
const wholeNumber = (value: number | undefined): number => Math.min(Math.round(amount(value)), MAX_INT)
