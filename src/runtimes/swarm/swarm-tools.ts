/**
 * The tools with which a swarm organises itself, named and shaped as ruflo's (claude-flow): what they say happened has
 * happened, and is kept.
 */
import { z } from 'zod'
import { MAX_AGENTS, TOPOLOGIES } from '../../protocol/session.js'
import { defineTool, type Tool } from '../tools/tool.js'
import { ROLE_NAMES } from './roles.js'
import type { Swarm } from './swarm.js'
import {
  agentsOf,
  assigned,
  completed,
  initialised,
  MAX_NAME_CHARS,
  MAX_TEXT_CHARS,
  TASK_PRIORITIES,
  taskOf,
  withAgent,
  withTask,
} from './swarm-state.js'

const nameSchema = z
  .string()
  .regex(/^[A-Za-z0-9_-]+$/)
  .max(MAX_NAME_CHARS)
const textSchema = z.string().min(1).max(MAX_TEXT_CHARS)
const now = (): string => new Date().toISOString()

export const swarmTools = (swarm: Swarm): readonly Tool[] => [
  swarmInit(swarm),
  agentSpawn(swarm),
  agentList(swarm),
  taskCreate(swarm),
  taskAssign(swarm),
  taskStatus(swarm),
  taskComplete(swarm),
]

const swarmInit = (swarm: Swarm): Tool =>
  defineTool({
    name: 'swarm_init',
    description: 'Says how the swarm works together, and with how many agents at most.',
    input: z.object({
      topology: z.enum(TOPOLOGIES).optional(),
      maxAgents: z.number().int().min(1).max(MAX_AGENTS).optional(),
    }),
    effect: () => 'idempotent',
    async run({ topology, maxAgents }) {
      const state = await swarm.change((before) =>
        initialised(before, {
          ...(topology && { topology }),
          // What the session was spawned with is a limit, not a proposal.
          ...(maxAgents !== undefined && { maxAgents: Math.min(maxAgents, before.maxAgents) }),
        }),
      )
      return { topology: state.topology, maxAgents: state.maxAgents, agents: state.agents.length }
    },
  })

const agentSpawn = (swarm: Swarm): Tool =>
  defineTool({
    name: 'agent_spawn',
    description: 'Adds an agent of a role to the swarm. It works when you call Agent with its role as subagent_type.',
    input: z.object({ type: z.enum(ROLE_NAMES), name: nameSchema.optional() }),
    effect: () => 'once',
    async run({ type, name }) {
      const { agents } = await swarm.change((before) => withAgent(before, type, name, now()))
      return { ...agents.at(-1), next: `call Agent with subagent_type "${type}" to give it work` }
    },
  })

const agentList = (swarm: Swarm): Tool =>
  defineTool({
    name: 'agent_list',
    description: 'Lists the agents of the swarm and what each has done.',
    input: z.object({}),
    effect: () => 'read',
    run: async () => ({ agents: agentsOf(await swarm.state()) }),
  })

const taskCreate = (swarm: Swarm): Tool =>
  defineTool({
    name: 'task_create',
    description: 'Writes a task down, so that nobody forgets it when the worker changes.',
    input: z.object({ description: textSchema, priority: z.enum(TASK_PRIORITIES).default('medium') }),
    effect: () => 'once',
    async run({ description, priority }) {
      const { tasks } = await swarm.change((before) => withTask(before, description, priority, now()))
      return { ...tasks.at(-1) }
    },
  })

const taskAssign = (swarm: Swarm): Tool =>
  defineTool({
    name: 'task_assign',
    description: 'Gives a task to an agent of the swarm; it is in progress from then on.',
    input: z.object({ taskId: nameSchema, agent: nameSchema }),
    effect: () => 'idempotent',
    run: async ({ taskId, agent }) =>
      taskOf(await swarm.change((before) => assigned(before, taskId, agent, now())), taskId),
  })

const taskStatus = (swarm: Swarm): Tool =>
  defineTool({
    name: 'task_status',
    description: 'Tells how a task stands, or all of them.',
    input: z.object({ taskId: nameSchema.optional() }),
    effect: () => 'read',
    async run({ taskId }) {
      const state = await swarm.state()
      return taskId === undefined ? { tasks: state.tasks } : taskOf(state, taskId)
    },
  })

const taskComplete = (swarm: Swarm): Tool =>
  defineTool({
    name: 'task_complete',
    description: 'Ends a task with what came of it; success false when it could not be done.',
    input: z.object({ taskId: nameSchema, result: textSchema, success: z.boolean().default(true) }),
    effect: () => 'idempotent',
    run: async ({ taskId, ...end }) =>
      taskOf(await swarm.change((before) => completed(before, taskId, end, now())), taskId),
  })
