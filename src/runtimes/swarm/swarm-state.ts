/**
 * What a swarm has agreed on, and how it changes. All pure; a change that is not allowed says why.
 */
import { z } from 'zod'
import { MAX_AGENTS, TOPOLOGIES } from '../../protocol/session.js'
import { ToolFailure } from '../tools/tool.js'
import { ROLE_NAMES, type RoleName } from './roles.js'

/** More than anybody plans; the list is read by models. */
const MAX_TASKS = 200
export const MAX_TEXT_CHARS = 8_000
export const MAX_NAME_CHARS = 64

export const TASK_PRIORITIES = ['low', 'medium', 'high', 'critical'] as const
const TASK_STATUSES = ['pending', 'in_progress', 'completed', 'failed'] as const

const agentSchema = z.object({ name: z.string(), role: z.enum(ROLE_NAMES), spawnedAt: z.string() })
const taskSchema = z.object({
  id: z.string(),
  description: z.string(),
  priority: z.enum(TASK_PRIORITIES),
  status: z.enum(TASK_STATUSES),
  assignedTo: z.string().optional(),
  result: z.string().optional(),
  createdAt: z.string(),
  updatedAt: z.string(),
})

const swarmSchema = z.object({
  topology: z.enum(TOPOLOGIES),
  maxAgents: z.number().int().min(1).max(MAX_AGENTS),
  agents: z.array(agentSchema),
  tasks: z.array(taskSchema),
})

export type SwarmState = z.output<typeof swarmSchema>
export type SwarmTask = z.output<typeof taskSchema>
export type SwarmAgent = z.output<typeof agentSchema>
type Priority = SwarmTask['priority']

/** Undefined for a swarm that has not begun, or whose record cannot be read. */
export function parseSwarm(json: string | undefined): SwarmState | undefined {
  if (json === undefined) return undefined
  const parsed = swarmSchema.safeParse(JSON.parse(json))
  return parsed.success ? parsed.data : undefined
}

/** Sets how the swarm works; its agents and tasks stay. */
export const initialised = (
  state: SwarmState,
  change: Partial<Pick<SwarmState, 'topology' | 'maxAgents'>>,
): SwarmState => ({
  ...state,
  ...change,
})

export function withAgent(state: SwarmState, role: RoleName, wanted: string | undefined, at: string): SwarmState {
  if (state.agents.length >= state.maxAgents) {
    throw new ToolFailure(`The swarm has its ${state.maxAgents} agents; give the task to one of them`)
  }
  const name = wanted ?? freeName(state, role)
  if (state.agents.some((agent) => agent.name === name)) throw new ToolFailure(`There is an agent ${name} already`)
  return { ...state, agents: [...state.agents, { name, role, spawnedAt: at }] }
}

function freeName({ agents }: SwarmState, role: RoleName): string {
  let number = 1
  while (agents.some(({ name }) => name === `${role}-${number}`)) number += 1
  return `${role}-${number}`
}

export function withTask(state: SwarmState, description: string, priority: Priority, at: string): SwarmState {
  if (state.tasks.length >= MAX_TASKS) throw new ToolFailure(`The swarm has ${MAX_TASKS} tasks; finish some first`)
  const id = `task-${state.tasks.length + 1}`
  const task: SwarmTask = { id, description, priority, status: 'pending', createdAt: at, updatedAt: at }
  return { ...state, tasks: [...state.tasks, task] }
}

export function assigned(state: SwarmState, id: string, agent: string, at: string): SwarmState {
  if (!state.agents.some(({ name }) => name === agent)) {
    throw new ToolFailure(
      `There is no agent ${agent}; there are: ${state.agents.map(({ name }) => name).join(', ') || 'none'}`,
    )
  }
  return changed(state, id, { assignedTo: agent, status: 'in_progress', updatedAt: at })
}

export const completed = (
  state: SwarmState,
  id: string,
  { result, success }: { readonly result: string; readonly success: boolean },
  at: string,
): SwarmState => changed(state, id, { result, status: success ? 'completed' : 'failed', updatedAt: at })

export function taskOf({ tasks }: SwarmState, id: string): SwarmTask {
  const task = tasks.find((each) => each.id === id)
  if (!task) throw new ToolFailure(`There is no task ${id}; ask task_status for all`)
  return task
}

function changed(state: SwarmState, id: string, change: Partial<SwarmTask>): SwarmState {
  const task = taskOf(state, id)
  if (task.status === 'completed' || task.status === 'failed') {
    throw new ToolFailure(`Task ${id} has ended: ${task.status}`)
  }
  return { ...state, tasks: state.tasks.map((each) => (each.id === id ? { ...each, ...change } : each)) }
}

/** An agent works while a task of its is in progress. */
export const agentsOf = ({ agents, tasks }: SwarmState) =>
  agents.map((agent) => {
    const theirs = tasks.filter(({ assignedTo }) => assignedTo === agent.name)
    return {
      ...agent,
      status: theirs.some(({ status }) => status === 'in_progress') ? 'working' : 'idle',
      completed: theirs.filter(({ status }) => status === 'completed').length,
    }
  })
