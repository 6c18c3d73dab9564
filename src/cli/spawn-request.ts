/**
 * What the options of `orchestrator-daemon spawn` ask for: a session that begins now, or one for a task that waits.
 */
import type { ScheduleRequest, SpawnRequest } from '../client/client.js'
import { duration } from '../config/kinds.js'
import type { Priority } from '../protocol/schedule.js'
import {
  type SessionOptions,
  type SessionType,
  sessionOptionsSchema,
  type TaskType,
  timedTaskObjectSchema,
} from '../protocol/session.js'
import { CommandFailure } from './exit.js'

export interface RequestFlags {
  readonly type?: SessionType
  readonly orchestrator?: string
  readonly idempotencyKey?: string
  // Of the task.
  readonly taskId?: string
  readonly taskType?: TaskType
  readonly priority?: Priority
  readonly metadata?: string
  // When it is to run.
  readonly at?: string
  readonly delay?: string
  readonly after?: readonly string[]
  readonly cron?: string
  readonly timeZone?: string
  // How the session is to be run.
  readonly model?: string
  readonly topology?: SessionOptions['topology']
  readonly maxAgents?: number
  readonly mcp?: readonly string[]
}

export type Request =
  | { readonly kind: 'spawn'; readonly request: SpawnRequest }
  | { readonly kind: 'schedule'; readonly request: ScheduleRequest }

interface Issue {
  readonly code?: string | undefined
  readonly path: readonly PropertyKey[]
  readonly message: string
}

const MS_PER_SECOND = 1_000
/** Which option a field of the protocol comes from, for sentences about it. */
const OPTION_OF: Readonly<Record<string, string>> = {
  description: 'the task',
  id: '--task-id',
  runAt: '--at',
  delayMs: '--delay',
  dependsOn: '--after',
  repeat: '--cron',
  metadata: '--metadata',
  model: '--model',
  mcpServers: '--mcp',
  maxAgents: '--max-agents',
}

/** What an option wants, where the protocol's own words would not say it. */
const WANTED: Readonly<Record<string, string>> = {
  '--at': 'it must be a time such as 2027-01-31T09:00:00Z',
  '--after': 'it must be the id of a task, or <session>/<task>',
  '--mcp': 'it must be the name of a server that the service has, or <name>=<url>; a name is letters and digits',
}

/** @throws CommandFailure with a sentence that names the option */
export function requestOf(description: string, flags: RequestFlags): Request {
  if (description.trim() === '') throw new CommandFailure('the task is empty; say what is to be done, as one argument')
  const { type: sessionType, orchestrator: orchestratorId, idempotencyKey } = flags
  const timing = timingOf(flags)
  const task = checked(timedTaskObjectSchema.safeParse({ ...taskOf(description, flags), ...timing }))
  const options = optionsOf(flags)
  const about = {
    ...(sessionType !== undefined && { sessionType }),
    ...(orchestratorId !== undefined && { orchestratorId }),
    ...(options !== undefined && { options }),
  }
  const key = idempotencyKey === undefined ? {} : { key: idempotencyKey }
  return Object.keys(timing).length > 0
    ? { kind: 'schedule', request: { task, ...about, ...key } }
    : { kind: 'spawn', request: { task, ...about, ...(idempotencyKey !== undefined && { idempotencyKey }) } }
}

function taskOf(description: string, { taskId: id, taskType: type, priority, metadata }: RequestFlags) {
  return {
    description,
    ...(id !== undefined && { id }),
    ...(type !== undefined && { type }),
    ...(priority !== undefined && { priority }),
    ...(metadata !== undefined && { metadata: jsonObject('--metadata', metadata) }),
  }
}

function timingOf({ at: runAt, delay, after, cron, timeZone: timezone }: RequestFlags) {
  if (timezone !== undefined && cron === undefined) throw new CommandFailure('--time-zone is of no use without --cron')
  return {
    ...(runAt !== undefined && { runAt }),
    ...(delay !== undefined && { delayMs: msOf(delay) }),
    ...(after !== undefined && { dependsOn: after.map(dependencyOf) }),
    ...(cron !== undefined && { repeat: { cron, ...(timezone !== undefined && { timezone }) } }),
  }
}

/** `<task>`, or `<session>/<task>` for one of a session. */
function dependencyOf(text: string) {
  const [sessionId, taskId] = text.split(/\/(.*)/s)
  return taskId === undefined ? text : { sessionId, taskId }
}

function optionsOf({ model, topology, maxAgents, mcp }: RequestFlags): SessionOptions | undefined {
  const given = {
    ...(model !== undefined && { model }),
    ...(topology !== undefined && { topology }),
    ...(maxAgents !== undefined && { maxAgents }),
    ...(mcp !== undefined && { mcpServers: mcp.map(serverOf) }),
  }
  return Object.keys(given).length === 0 ? undefined : checked(sessionOptionsSchema.safeParse(given))
}

/** The name of a declared server, or `<name>=<url>` of another one. */
function serverOf(text: string) {
  const [name, url] = text.split(/=(.*)/s)
  return url === undefined ? text : { name, url }
}

function checked<T>(
  result:
    | { readonly success: true; readonly data: T }
    | { readonly success: false; readonly error: { issues: Issue[] } },
): T {
  if (result.success) return result.data
  const [first] = result.error.issues
  const field = String(first?.path[0] ?? 'description')
  const option = OPTION_OF[field] ?? field
  const ours = first?.code === 'custom' ? undefined : WANTED[option]
  throw new CommandFailure(`${option}: ${ours ?? first?.message ?? 'it is not valid'}`)
}

function msOf(text: string): number {
  const parsed = duration.type.safeParse(text)
  if (parsed.success) return parsed.data * MS_PER_SECOND
  throw new CommandFailure(`--delay must be ${duration.expected}, not "${text}"`)
}

function jsonObject(option: string, text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  } catch {
    // Said below, as for any other value that is none.
  }
  throw new CommandFailure(`${option} must be a JSON object such as {"ticket":"A-1"}, not ${text}`)
}
