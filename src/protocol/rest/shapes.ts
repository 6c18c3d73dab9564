/**
 * What answers over HTTP look like: the shapes of `protocol/`, as schemas that the OpenAPI document and the tests read.
 * Shapes with a name of their own stand in the document once.
 */
import { z } from 'zod'
import { LOGGED_EVENT_TYPES } from '../events.js'
import { eventIdSchema } from '../ids.js'
import { PRIORITY_ORDER, SCHEDULE_STATES } from '../schedule.js'
import { SESSION_STATUSES, SESSION_TYPES, TASK_STATUSES, TASK_TYPES } from '../session.js'

export const time = z.iso.datetime()
const count = z.number().nonnegative()
const id = z.string()
const freeForm = z.record(z.string(), z.unknown())

/** An item of a list, and where the next page begins; without a cursor there is none. */
export const pageOf = <N extends string, T extends z.ZodType>(name: N, item: T) =>
  z.object({ [name]: z.array(item), cursor: z.string().optional() } as { [K in N]: z.ZodArray<T> } & {
    cursor: z.ZodOptional<z.ZodString>
  })

const taskShape = z
  .object({
    id,
    type: z.enum(TASK_TYPES),
    description: z.string(),
    priority: z.enum(PRIORITY_ORDER),
    status: z.enum(TASK_STATUSES),
    createdAt: z.string(),
    updatedAt: z.string(),
    assignedTo: z.string().optional(),
    metadata: freeForm.optional(),
  })
  .meta({ id: 'Task', description: 'A unit of work given to a session.' })

const pendingApproval = z.object({
  approvalId: id,
  toolName: z.string(),
  reason: z.string(),
  level: z.enum(['confirm', 'escalate']),
  expiresAt: time,
})

export const sessionShape = z
  .object({
    id,
    orchestratorId: z.string(),
    task: taskShape.nullable(),
    type: z.enum(SESSION_TYPES),
    status: z.enum(SESSION_STATUSES),
    startedAt: time,
    endedAt: time.optional(),
    memoryContext: z.object({
      scratchpad: freeForm,
      episodic: z.array(z.unknown()),
      semantic: z.array(z.unknown()),
    }),
    metrics: z.object({
      tokensUsed: count,
      duration: count,
      tasksCompleted: count,
      errorsEncountered: count,
      averageResponseTime: count,
    }),
    cost: count,
    pendingApprovals: z.array(pendingApproval).optional(),
  })
  .meta({ id: 'Session', description: 'An agent at work for an orchestrator, and what it has cost so far.' })

export const commandShape = z
  .object({
    commandId: z.string(),
    sessionId: id,
    duplicate: z.boolean().meta({ description: 'The same command was accepted before.' }),
    result: z.string().optional().meta({ description: 'The event that ended it, where it has ended.' }),
  })
  .meta({ id: 'CommandAccepted', description: 'A worker holds the command durably; what comes of it are events.' })

export const taskAcceptedShape = commandShape.extend({ taskId: id }).meta({ id: 'TaskAccepted' })

const waitingFor = z.union([
  z.object({ kind: z.literal('time'), at: time }),
  z.object({ kind: z.literal('task'), taskId: id, sessionId: id.optional(), scheduleId: id.optional() }),
  z.object({ kind: z.enum(['turn', 'resume']) }),
])

const queueEntry = {
  taskId: id,
  description: z.string(),
  priority: z.enum(PRIORITY_ORDER),
  waitingFor: z.array(waitingFor),
  since: z.string(),
  position: count,
}

export const scheduledTaskShape = z
  .object({
    ...queueEntry,
    scheduleId: id,
    sessionId: id.nullable(),
    state: z.enum(SCHEDULE_STATES),
    nextRunAt: time.nullable(),
    repeat: z.object({ cron: z.string(), timezone: z.string() }).optional(),
    runs: count,
    missed: count,
    code: z.string().optional(),
    error: z.string().optional(),
  })
  .meta({ id: 'ScheduledTask', description: 'A task that waits outside its session, or did.' })

export const queuedTaskShape = z.union([
  scheduledTaskShape,
  z
    .object({ ...queueEntry, sessionId: id, state: z.enum(['in_progress', 'pending']) })
    .meta({ id: 'InboxTask', description: 'A task in the inbox of a session.' }),
])

export const eventShape = z
  .looseObject({
    type: z.enum(LOGGED_EVENT_TYPES),
    eventId: eventIdSchema,
    sessionId: id,
    timestamp: time,
  })
  .meta({ id: 'Event', description: 'What happened in a session; the further fields depend on the type.' })

export const turnShape = z
  .object({
    taskId: id,
    turn: z.number().int(),
    status: z.enum(['in_progress', 'completed', 'failed', 'cancelled']),
    description: z.string().meta({ description: 'The first 200 characters.' }),
    error: z.string().nullable(),
    promptTokens: count,
    completionTokens: count,
    cost: count,
    startedAt: time,
    endedAt: time.nullable(),
  })
  .meta({ id: 'Turn', description: 'One run of a task.' })

export const transcriptEntryShape = z
  .object({
    eventId: eventIdSchema,
    at: time,
    role: z.enum(['user', 'assistant', 'tool', 'system']),
    text: z.string(),
    agent: z.string().optional(),
    taskId: id.optional(),
    messageId: id.optional(),
    callId: id.optional(),
    name: z.string().optional().meta({ description: 'Of the tool, or of the event behind a line of the system.' }),
    toolCalls: z.array(z.object({ callId: id, name: z.string(), input: z.unknown() })).optional(),
    ok: z.boolean().optional(),
  })
  .meta({ id: 'TranscriptEntry' })

export const artifactShape = z
  .object({
    path: z.string(),
    size: count,
    hash: z.string().meta({ description: 'SHA-256 of the content, in hex; also its ETag.' }),
    mode: z.number().int(),
    changedAt: time,
  })
  .meta({ id: 'Artifact', description: 'A file that a session has written.' })

export const approvalShape = z
  .object({
    approvalId: id,
    sessionId: id,
    toolName: z.string(),
    toolInput: z.record(z.string(), z.unknown()),
    reason: z.string(),
    level: z.enum(['confirm', 'escalate']),
    state: z.enum(['pending', 'approved', 'rejected', 'expired', 'cancelled']),
    requestedAt: time,
    expiresAt: time,
    decidedAt: time.optional(),
    decidedBy: z.string().optional(),
    comment: z.string().optional(),
  })
  .meta({ id: 'Approval', description: 'A tool call that the charter leaves to a person.' })

const period = z.enum(['hourly', 'daily', 'weekly', 'monthly', 'session'])

export const budgetUseShape = z
  .object({
    scope: z.enum(['session', 'orchestrator', 'tenant']),
    id,
    period,
    limit: count,
    used: count,
    reserved: count,
    remaining: count,
    percent: count,
    status: z.enum(['healthy', 'warning', 'critical', 'exceeded']),
    resetsAt: time.nullable(),
  })
  .meta({ id: 'BudgetUse', description: 'A limit in tokens, and how much of it is used now.' })

const usageSums = {
  calls: count,
  promptTokens: count,
  cachedTokens: count,
  completionTokens: count,
  tokens: count,
  cost: count,
}

export const usageReportShape = z
  .object({
    period: z.object({ start: time, end: time, granularity: z.string() }),
    summary: z.object(usageSums),
    breakdown: z.array(
      z.object({
        ...usageSums,
        from: time,
        orchestrator: z.string().optional(),
        session: z.string().optional(),
        model: z.string().optional(),
        tool: z.string().optional(),
      }),
    ),
    truncated: z.boolean(),
    anomalies: z
      .array(z.object({ from: time, tokens: count, mean: count, deviation: count, score: z.number() }))
      .optional(),
    costEstimate: z.object({
      daily: count,
      weekly: count,
      monthly: count,
      confidence: count,
      monthlyIn: z.object({ EUR: count, GBP: count }),
    }),
  })
  .meta({ id: 'UsageReport' })

const memory = {
  id,
  tier: z.enum(['scratchpad', 'episodic', 'semantic']),
  kind: z.enum(['interaction', 'observation', 'decision', 'knowledge']),
  namespace: z.string(),
  key: z.string().nullable(),
  content: z.string(),
  tags: z.array(z.string()),
  metadata: freeForm,
  validFrom: time,
  validTo: time.nullable(),
  sessionId: id.nullable(),
}
export const memoryShape = z.object(memory).meta({ id: 'Memory', description: 'Something that is remembered.' })
export const foundMemoryShape = z
  .object({ ...memory, score: z.number() })
  .meta({ id: 'FoundMemory', description: 'A memory, and how well it fits the question.' })

export const daemonStatusShape = z
  .object({
    name: z.string(),
    version: z.string(),
    status: z.enum(['running', 'degraded']),
    uptime: count,
    activeSessions: count,
    maxSessions: count,
    queuedTasks: count,
    memoryUsageMB: count,
    cpuUsagePercent: count,
    metrics: z.object({
      totalSessionsSpawned: count,
      totalTasksProcessed: count,
      totalTokensUsed: count,
      averageSessionDuration: count,
      activeSessions: count,
      successRate: count,
    }),
    subsystems: z.record(
      z.string(),
      z.object({ status: z.string(), lastCheck: z.string(), errors: z.array(z.string()).optional() }),
    ),
  })
  .meta({ id: 'DaemonStatus' })

/** RFC 9457, with the code of the one table of errors. */
export const problemShape = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    code: z.string(),
    retryable: z.boolean(),
    error: z.string().meta({ description: 'The same as `detail`.' }),
    retryAfterMs: z.number().optional(),
    sessionId: z.string().optional(),
    commandId: z.string().optional(),
  })
  .meta({ id: 'Problem', description: 'What went wrong, as application/problem+json (RFC 9457).' })

export const auditShape = z
  .object({
    seq: count,
    at: time,
    actor: z.string(),
    action: z.string(),
    sessionId: id.nullable(),
    subject: z.string(),
    detail: freeForm,
    hash: z.string().meta({ description: 'SHA-256 of the hash before it and of this row.' }),
  })
  .meta({ id: 'AuditEntry', description: 'Something that was done, as the audit log keeps it.' })
