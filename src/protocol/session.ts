/**
 * The two nouns that clients see: a session and the tasks given to it.
 */
import { z } from 'zod'
import type { PendingApproval } from './approvals.js'
import { newTaskId } from './ids.js'
import { PRIORITY_ORDER, type Priority, timingShape } from './schedule.js'
import type { SessionStatus, SessionType } from './session-words.js'

export type { Priority } from './schedule.js'
export { isTerminal, SESSION_STATUSES, SESSION_TYPES, type SessionStatus, type SessionType } from './session-words.js'

export const TASK_STATUSES = ['pending', 'in_progress', 'completed', 'failed', 'cancelled'] as const
export type TaskStatus = (typeof TASK_STATUSES)[number]

export const TASK_TYPES = ['code', 'test', 'research', 'analysis', 'custom', 'general'] as const
export type TaskType = (typeof TASK_TYPES)[number]

const MAX_TASK_CHARS = 200_000
/** Deeper values overflow the stack of whoever walks them: JSON writers, databases. */
const MAX_NESTING = 32

/** Free-form values of a client, as deep as any store can hold. */
export const freeFormSchema = z
  .record(z.string(), z.unknown())
  .refine((value) => isShallow(value, MAX_NESTING), `values nest at most ${MAX_NESTING} deep`)

function isShallow(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  return levels > 0 && Object.values(value).every((inner) => isShallow(inner, levels - 1))
}

export const TOPOLOGIES = ['hierarchical', 'mesh', 'ring', 'star'] as const
/** Agents of one session: each has a conversation of its own with the model, and they share one machine. */
export const MAX_AGENTS = 16

/** Stands in the names of its tools (`mcp__<server>__<tool>`), which vendors keep short. */
export const serverNameSchema = z
  .string()
  .max(24)
  .regex(/^[A-Za-z0-9]+([-_][A-Za-z0-9]+)*$/, 'letters and digits, with single - or _ between them')
/** Each is a connection of its own while the session is at work. */
const MAX_MCP_SERVERS = 8
/** With all the others it stands in the session's small state. */
const MAX_URL_CHARS = 256

/** An external MCP server: one that the operator has declared, or where that is allowed, one at a public URL. */
const mcpAttachmentSchema = z.union([
  serverNameSchema,
  z.strictObject({ name: serverNameSchema, url: z.url({ protocol: /^https?$/ }).max(MAX_URL_CHARS) }),
])
export type McpAttachment = z.output<typeof mcpAttachmentSchema>

/** Stands in the session's small state, and names a part of memory in every store. */
const MAX_PROFILE_CHARS = 128
export const memoryProfileSchema = z
  .string()
  .max(MAX_PROFILE_CHARS)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'a memory profile has no control characters')

/** How a session is to be run; what a session's type has no use for is left alone. */
export const sessionOptionsSchema = z.object({
  /** Under which its agents remember and recall, apart from sessions of other profiles. */
  memoryProfile: memoryProfileSchema.min(1).optional(),
  /** Model of all its tasks, instead of the one that the settings name. */
  model: z.string().min(1).max(128).optional(),
  /** How the agents of a claude-flow session are to work together. */
  topology: z.enum(TOPOLOGIES).optional(),
  maxAgents: z.number().int().min(1).max(MAX_AGENTS).optional(),
  /** Whose tools an llm session has besides its own. */
  mcpServers: z
    .array(mcpAttachmentSchema)
    .max(MAX_MCP_SERVERS)
    .refine((servers) => new Set(servers.map(nameOf)).size === servers.length, 'each server has a name of its own')
    .optional(),
})
const nameOf = (server: McpAttachment): string => (typeof server === 'string' ? server : server.name)
export type SessionOptions = z.output<typeof sessionOptionsSchema>

const taskText = z.string().min(1).max(MAX_TASK_CHARS)
const taskObject = z.object({
  id: z.string().min(1).max(128).optional(),
  type: z.enum(TASK_TYPES).default('general'),
  description: taskText,
  priority: z.enum(PRIORITY_ORDER).default('medium'),
  status: z.enum(TASK_STATUSES).optional(),
  assignedTo: z.string().max(128).optional(),
  createdAt: z.string().max(64).optional(),
  updatedAt: z.string().max(64).optional(),
  metadata: freeFormSchema.optional(),
})

/** A task as a client sends it: an object, of which only `description` is needed, or just the text. */
export const taskInputSchema = z.union([taskText, taskObject])
export type TaskInput = z.input<typeof taskInputSchema>

export const timedTaskObjectSchema = taskObject.extend(timingShape)
/** The same, with when it is to run. */
export const timedTaskSchema = z.union([taskText, timedTaskObjectSchema])
export type TimedTaskInput = z.input<typeof timedTaskSchema>

/** The task without when it is to run. */
export function untimed(input: z.output<typeof timedTaskSchema>): z.output<typeof taskInputSchema> {
  if (typeof input === 'string') return input
  const {
    dependsOn: _dependsOn,
    blockedBy: _blockedBy,
    runAt: _runAt,
    delayMs: _delayMs,
    repeat: _repeat,
    ...task
  } = input
  return task
}

/** A unit of work given to a session. Dates are ISO 8601 in UTC. */
export interface Task {
  readonly id: string
  readonly type: TaskType
  readonly description: string
  readonly priority: Priority
  readonly status: TaskStatus
  readonly createdAt: string
  readonly updatedAt: string
  readonly assignedTo?: string
  readonly metadata?: Readonly<Record<string, unknown>>
}

/** What a task has used so far. `cost` in US dollars, `duration` in ms. */
export interface TaskUsage {
  readonly promptTokens: number
  readonly completionTokens: number
  readonly cost: number
  readonly duration: number
}

/** Completes what a client left out. The status always starts as `pending`: a client cannot bring a finished task. */
export function newTask(input: TaskInput, now: Date): Task {
  const given = typeof input === 'string' ? { description: input } : input
  const at = now.toISOString()
  return {
    type: 'general',
    priority: 'medium',
    ...given,
    id: ('id' in given ? given.id : undefined) ?? newTaskId(),
    status: 'pending',
    createdAt: ('createdAt' in given ? given.createdAt : undefined) ?? at,
    updatedAt: at,
  } as Task
}

export interface SessionMetrics {
  readonly tokensUsed: number
  /** Time spent in turns, in ms. */
  readonly duration: number
  readonly tasksCompleted: number
  readonly errorsEncountered: number
  /** Mean time of a finished task, in ms. */
  readonly averageResponseTime: number
}

/** A session as the reference's clients know it, with `cost` in US dollars and the last event added. */
export interface Session {
  readonly id: string
  readonly orchestratorId: string
  readonly task: Task | null
  readonly type: SessionType
  readonly status: SessionStatus
  readonly startedAt: string
  readonly endedAt?: string
  /** Why it has failed, where it has. */
  readonly error?: string
  readonly memoryContext: {
    readonly scratchpad: Readonly<Record<string, unknown>>
    readonly episodic: readonly unknown[]
    readonly semantic: readonly unknown[]
  }
  readonly metrics: SessionMetrics
  readonly cost: number
  /** Tool calls that wait for a person, the newest; absent when there is none. */
  readonly pendingApprovals?: readonly PendingApproval[]
}
