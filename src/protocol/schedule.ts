/**
 * When a task is to run: not before a time, not before other tasks are completed, or again and again. Such a task waits
 * in the database, outside the inbox of any session.
 */
import { z } from 'zod'

/** In the order in which tasks get their turn. */
export const PRIORITY_ORDER = ['critical', 'high', 'medium', 'low'] as const
export type Priority = (typeof PRIORITY_ORDER)[number]

const MAX_ID_CHARS = 128
/** Tasks that one task may wait for. */
const MAX_DEPENDENCIES = 32
/** A year: what is planned for longer is a matter of a calendar, not of a queue. */
export const MAX_DELAY_MS = 366 * 86_400_000
const MAX_CRON_CHARS = 128
const MAX_TIME_ZONE_CHARS = 64
const MAX_RUNS = 1_000_000

const id = z.string().min(1).max(MAX_ID_CHARS)

/** A task that must be completed first: by its id, in the same session or among the caller's own, or of a session. */
const dependencySchema = z.union([id, z.object({ taskId: id, sessionId: id.optional() })])
export type DependencyInput = z.input<typeof dependencySchema>

const dependencies = z.array(dependencySchema).min(1).max(MAX_DEPENDENCIES)

/** Fields of a task that say when it is to run; without any of them it runs as soon as its session comes to it. */
export const timingShape = {
  /** Tasks that must be completed first; `blockedBy` says the same. */
  dependsOn: dependencies.optional(),
  blockedBy: dependencies.optional(),
  /** Not before this time. */
  runAt: z.iso.datetime({ offset: true }).optional(),
  /** Not before so many ms from now. */
  delayMs: z.number().int().min(0).max(MAX_DELAY_MS).optional(),
  /** Again and again; five fields, or six with seconds first. */
  repeat: z
    .object({
      cron: z.string().min(1).max(MAX_CRON_CHARS),
      timezone: z.string().min(1).max(MAX_TIME_ZONE_CHARS).default('UTC'),
      maxRuns: z.number().int().min(1).max(MAX_RUNS).optional(),
      until: z.iso.datetime({ offset: true }).optional(),
    })
    .optional(),
} as const

const timingSchema = z.object(timingShape)
export type Timing = z.output<typeof timingSchema>
export type Repeat = NonNullable<Timing['repeat']>

/** When a task is to run; undefined when at once. */
export function timingOf(task: string | Timing): Timing | undefined {
  if (typeof task === 'string') return undefined
  const { dependsOn, blockedBy, runAt, delayMs, repeat } = task
  const isTimed = (dependsOn ?? blockedBy ?? runAt ?? delayMs ?? repeat) !== undefined
  return isTimed ? { dependsOn, blockedBy, runAt, delayMs, repeat } : undefined
}

/** `waiting` for what `waitingFor` says · `released` to its session · `finished` its repetitions are over. */
export const SCHEDULE_STATES = ['waiting', 'released', 'finished', 'failed', 'cancelled'] as const
export type ScheduleState = (typeof SCHEDULE_STATES)[number]

/** `time`: not before `at` · `task`: another task · `turn`: its session works on others first · `resume`: it is paused. */
export type WaitingFor =
  | { readonly kind: 'time'; readonly at: string }
  | { readonly kind: 'task'; readonly taskId: string; readonly sessionId?: string; readonly scheduleId?: string }
  | { readonly kind: 'turn' }
  | { readonly kind: 'resume' }

interface Entry {
  readonly taskId: string
  /** The first 200 characters. */
  readonly description: string
  readonly priority: Priority
  readonly waitingFor: readonly WaitingFor[]
  /** ISO 8601: since when it waits, or stands as it does. */
  readonly since: string
  /** 1 is next: among the scheduled tasks that wait, or inside its session. 0 when it waits for nothing. */
  readonly position: number
}

/** A task in the inbox of a session; the first one runs, or waits for a free slot on its worker. */
export interface SessionTaskEntry extends Entry {
  readonly sessionId: string
  readonly state: 'in_progress' | 'pending'
}

/** A task that is, or was, kept outside its session. */
export interface ScheduledTask extends Entry {
  readonly scheduleId: string
  /** Where it runs, or ran last; null before there is one. */
  readonly sessionId: string | null
  readonly state: ScheduleState
  /** ISO 8601; null when it has been handed over, or is over. */
  readonly nextRunAt: string | null
  readonly repeat?: { readonly cron: string; readonly timezone: string }
  /** Times that it was handed to a session. */
  readonly runs: number
  /** Occurrences that nobody was there for, and that were made up for by one run. */
  readonly missed: number
  readonly code?: string
  readonly error?: string
}

export type QueuedTask = SessionTaskEntry | ScheduledTask
