/**
 * Sessions of type `claude-code`: a real Claude Code works in the session's directory.
 */
import type { ClaudeKind, ClaudeSessions } from './claude/claude-sessions.js'
import { effectOf, WORKSPACE_TOOLS } from './claude/tool-kinds.js'
import type { Runtime, TaskResult, Turn } from './runtime.js'

const KIND: ClaudeKind = {
  type: 'claude-code',
  effectOf,
  options: () => ({ tools: [...WORKSPACE_TOOLS] }),
}

export class ClaudeCode implements Runtime {
  constructor(private readonly sessions: ClaudeSessions) {}

  run(turn: Turn): Promise<TaskResult> {
    return this.sessions.run(turn, KIND)
  }

  forget(sessionId: string): void {
    this.sessions.forget(sessionId)
  }
}
