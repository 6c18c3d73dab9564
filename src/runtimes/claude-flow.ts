/**
 * Sessions of type `claude-flow` (and `ruflo`): a coordinator that gives parts of a task to agents with roles, all of them
 * inside one Claude Code in the session's directory. What they agree on is kept in the store of swarms, and what each says
 * and does is in the session's log under its name.
 */
import type { AgentDefinition } from '@anthropic-ai/claude-agent-sdk'
import type { SessionOptions, SessionType } from '../protocol/session.js'
import type { AgentMemory } from './agent-memory.js'
import type { ClaudeKind, ClaudeSessions } from './claude/claude-sessions.js'
import { effectOf, WORKSPACE_TOOLS } from './claude/tool-kinds.js'
import { mcpName, serverEffects, toolServer } from './claude/tool-server.js'
import { rememberingTurn } from './recall.js'
import type { Runtime, TaskResult, Turn } from './runtime.js'
import { promptOf, ROLE_NAMES, ROLES, type RoleName } from './swarm/roles.js'
import { Swarm, type SwarmStore } from './swarm/swarm.js'
import { swarmTools } from './swarm/swarm-tools.js'
import { memoryTools } from './tools/memory.js'
import type { Tool } from './tools/tool.js'

const SERVER = 'swarm'
const DEFAULT_TOPOLOGY = 'hierarchical'
/** A planner, a coder, a tester and a reviewer, and one to spare. */
const DEFAULT_MAX_AGENTS = 5

const HOW: Readonly<Record<NonNullable<SessionOptions['topology']>, string>> = {
  hierarchical:
    'You lead: have it planned, give each part to the agent that fits, look at what comes back, and have it done again where it is not good.',
  mesh: 'Agents work side by side and share what they find in memory: call Agent several times in one message for parts that do not depend on each other.',
  ring: 'Work goes round: each agent gets what the one before it has made, and the last hands it back to you.',
  star: 'Every agent reports to you alone: give independent parts out, several in one message, and put the answers together yourself.',
}

export interface ClaudeFlowParts {
  readonly sessions: ClaudeSessions
  readonly swarms: SwarmStore
  /** What agents remember beyond the session; none when left out. */
  readonly memory?: AgentMemory | undefined
}

export class ClaudeFlow implements Runtime {
  constructor(
    private readonly parts: ClaudeFlowParts,
    private readonly type: Extract<SessionType, 'claude-flow' | 'ruflo'>,
  ) {}

  async run(turn: Turn): Promise<TaskResult> {
    const { memory, sessions } = this.parts
    return sessions.run(await rememberingTurn(turn, memory), this.#kind(turn))
  }

  forget(sessionId: string): void {
    this.parts.sessions.forget(sessionId)
  }

  #kind(turn: Turn): ClaudeKind {
    const { sessionId, epoch, options } = turn
    const { topology = DEFAULT_TOPOLOGY, maxAgents = DEFAULT_MAX_AGENTS } = options
    const swarm = new Swarm({ store: this.parts.swarms, sessionId, epoch, initial: { topology, maxAgents } })
    const tools = [...swarmTools(swarm), ...(this.parts.memory ? memoryTools(this.parts.memory) : [])]
    const effects = serverEffects(SERVER, tools)
    return {
      type: this.type,
      instructions: instructions(topology, maxAgents),
      effectOf: (tool, input) => effects(tool, input) ?? effectOf(tool),
      environment: { CLAUDE_CODE_MAX_CONCURRENT_SUBAGENTS: String(maxAgents) },
      options: () => ({
        tools: [...WORKSPACE_TOOLS, 'Agent'],
        agents: agents(tools),
        forwardSubagentText: true,
        mcpServers: { [SERVER]: toolServer(SERVER, tools, turn) },
      }),
    }
  }
}

const instructions = (topology: NonNullable<SessionOptions['topology']>, maxAgents: number): string =>
  `You coordinate a swarm of at most ${maxAgents} agents: ${ROLE_NAMES.join(', ')}. ${HOW[topology]} Write the parts down with task_create before you give them out, spawn who is to do them with agent_spawn, assign them, and let an agent work by calling Agent with its role as subagent_type and the task id in the prompt. After an interruption ask task_status and agent_list what was agreed. What is a single small step you do yourself.`

const agents = (tools: readonly Tool[]): Record<RoleName, AgentDefinition> => {
  const shared = tools
    .map(({ spec }) => mcpName(SERVER, spec.name))
    .filter((name) => !/swarm_init|agent_spawn/.test(name))
  const definition = (name: RoleName): AgentDefinition => ({
    description: ROLES[name].description,
    prompt: promptOf(name),
    tools: [...ROLES[name].tools, ...shared],
  })
  return Object.fromEntries(ROLE_NAMES.map((name) => [name, definition(name)])) as Record<RoleName, AgentDefinition>
}
