/**
 * Sessions of type `claude-code`: a real Claude Code works in the session's directory.
 */
import type { AgentMemory } from './agent-memory.js'
import type { ClaudeKind, ClaudeSessions } from './claude/claude-sessions.js'
import { effectOf, WORKSPACE_TOOLS } from './claude/tool-kinds.js'
import { serverEffects, toolServer } from './claude/tool-server.js'
import { rememberingTurn } from './recall.js'
import type { Runtime, TaskResult, Turn } from './runtime.js'
import { memoryTools } from './tools/memory.js'

const SERVER = 'orchestrator'

export interface ClaudeCodeParts {
  readonly sessions: ClaudeSessions
  /** What it remembers beyond the session; nothing when left out. */
  readonly memory?: AgentMemory | undefined
}

export class ClaudeCode implements Runtime {
  constructor(private readonly parts: ClaudeCodeParts) {}

  async run(turn: Turn): Promise<TaskResult> {
    const { memory, sessions } = this.parts
    return sessions.run(await rememberingTurn(turn, memory), this.#kind(turn))
  }

  forget(sessionId: string): void {
    this.parts.sessions.forget(sessionId)
  }

  #kind(turn: Turn): ClaudeKind {
    const tools = this.parts.memory ? memoryTools(this.parts.memory) : []
    const effects = serverEffects(SERVER, tools)
    return {
      type: 'claude-code',
      effectOf: (tool, input) => effects(tool, input) ?? effectOf(tool),
      options: () => ({
        tools: [...WORKSPACE_TOOLS],
        ...(tools.length > 0 && { mcpServers: { [SERVER]: toolServer(SERVER, tools, turn) } }),
      }),
    }
  }
}
