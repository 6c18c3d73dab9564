/**
 * Sessions in the words of the second protocol: as a session, as an agent, as a team.
 */
import { z } from 'zod'
import type { Session, SessionStatus, SessionType, Task } from '../session.js'

export const V2_STATUSES = ['initializing', 'running', 'paused', 'completed', 'failed', 'terminated'] as const
export type V2Status = (typeof V2_STATUSES)[number]

const v2StatusOf = (status: SessionStatus): V2Status => (status === 'active' ? 'running' : status)
export const sessionStatusOf = (status: V2Status): SessionStatus => (status === 'running' ? 'active' : status)

export function sessionInfo(session: Session) {
  const { id, orchestratorId, type, status, task, startedAt, endedAt, error, metrics, cost } = session
  const { tokensUsed, duration: durationMs, tasksCompleted, errorsEncountered } = metrics
  return {
    ...{ id, sessionId: id, orchestratorId, sessionType: type, status: v2StatusOf(status), task, startedAt },
    ...(endedAt !== undefined && { endedAt }),
    ...(error !== undefined && { error }),
    metrics: { tokensUsed, durationMs, tasksCompleted, errorsEncountered, cost },
  }
}

/** Sessions of these types are agents and teams; others are sessions only. */
export const isSwarm = (type: SessionType): boolean => type === 'claude-flow' || type === 'ruflo'

const name = z.string().min(1).max(128)

const agentRoleSchema = z.object({
  agentType: name,
  parentSessionId: name.optional(),
  config: z.record(z.string(), z.unknown()).optional(),
})
const teamRoleSchema = z.object({
  name,
  description: z.string().optional(),
  strategy: z.string(),
  members: z.array(z.object({ role: name, agentType: name })),
})
const messageSchema = z.object({
  teamId: name,
  messageId: name,
  from: name,
  to: name.optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
})

/** What a session was spawned as; stands in the metadata of its first task, where the model reads it too. */
export interface Role {
  readonly agent?: z.output<typeof agentRoleSchema> | undefined
  readonly team?: z.output<typeof teamRoleSchema> | undefined
}
type TeamMessage = z.output<typeof messageSchema>

/** Metadata is free-form: whatever does not look like ours says nothing. */
export function roleOf(task: Pick<Task, 'metadata'> | null | undefined): Role {
  const { agent, team } = task?.metadata ?? {}
  return { agent: agentRoleSchema.safeParse(agent).data, team: teamRoleSchema.safeParse(team).data }
}

/** What somebody tells a team, as the coordinator reads it. */
export const messageText = (about: Pick<TeamMessage, 'from' | 'to'>, content: string): string =>
  `${headOf(about)}${content}`

const headOf = ({ from, to = 'everybody' }: Pick<TeamMessage, 'from' | 'to'>): string =>
  `Message from ${from} to ${to}: `

/** What somebody told a team, where a task is that. */
export function messageOf({ description, metadata }: Task): (TeamMessage & { readonly content: string }) | undefined {
  const about = messageSchema.safeParse(metadata?.teamMessage).data
  return about && { ...about, content: description.slice(headOf(about).length) }
}

const AGENT_STATUS: Readonly<Record<SessionStatus, string>> = {
  initializing: 'initializing',
  active: 'running',
  paused: 'paused',
  completed: 'completed',
  failed: 'failed',
  terminated: 'stopped',
}

export function agentInfo(session: Session, role: Role) {
  const { id, status, task, startedAt, endedAt, metrics } = session
  const { tokensUsed, duration: durationMs, tasksCompleted } = metrics
  return {
    ...{ agentId: id, sessionId: id, status: AGENT_STATUS[status], ...roleWords(role) },
    ...(task && { task: task.description }),
    metrics: { tokensUsed, durationMs, tasksCompleted },
    updatedAt: endedAt ?? task?.updatedAt ?? startedAt,
  }
}

const roleWords = ({ agent }: Role) => ({
  ...(agent && { agentType: agent.agentType }),
  ...(agent?.parentSessionId !== undefined && { parentSessionId: agent.parentSessionId }),
})

const TEAM_STATUS: Readonly<Record<SessionStatus, string>> = {
  initializing: 'forming',
  active: 'active',
  paused: 'paused',
  completed: 'completed',
  failed: 'failed',
  terminated: 'dissolved',
}

/** What a team's agents have agreed on; see docs/sessions.md. */
export interface SwarmView {
  readonly agents: readonly { readonly name: string; readonly role: string; readonly spawnedAt: string }[]
  readonly tasks: readonly { readonly status: string; readonly assignedTo?: string | undefined }[]
}

export const teamStatus = (session: Session, role: Role) => ({
  teamId: session.id,
  sessionId: session.id,
  name: role.team?.name ?? session.id,
  status: TEAM_STATUS[session.status],
})

export function teamInfo(session: Session, role: Role, swarm: SwarmView | undefined) {
  const tasks = swarm?.tasks ?? []
  const done = tasks.filter(({ status }) => status === 'completed').length
  return {
    ...teamStatus(session, role),
    agents: (swarm?.agents ?? []).map((agent) => memberInfo(session, agent, tasks)),
    members: role.team?.members ?? [],
    ...(tasks.length > 0 && { progress: done / tasks.length }),
    updatedAt: session.endedAt ?? session.task?.updatedAt ?? session.startedAt,
  }
}

function memberInfo({ id, status }: Session, { name, role, spawnedAt }: SwarmAgent, tasks: SwarmView['tasks']) {
  const own = tasks.filter(({ assignedTo }) => assignedTo === name)
  const tasksCompleted = own.filter((task) => task.status === 'completed').length
  // Tokens and time are the session's: its agents share one process.
  return {
    ...{ agentId: memberId(id, name), sessionId: id, agentType: role },
    ...{ status: status === 'active' ? workOf(own) : AGENT_STATUS[status], tasksCompleted, updatedAt: spawnedAt },
  }
}
type SwarmAgent = SwarmView['agents'][number]

function workOf(own: SwarmView['tasks']): string {
  if (own.some(({ status }) => status === 'in_progress')) return 'running'
  const isDone = own.length > 0 && own.every(({ status }) => status === 'completed' || status === 'failed')
  return isDone ? 'completed' : 'initializing'
}

export const memberId = (teamId: string, name: string): string => `${teamId}/${name}`
