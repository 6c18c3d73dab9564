/**
 * A session with MCP servers whose model does as the test says: one answer for each list of calls, then the end.
 */
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished, vi } from 'vitest'
import type { Model, ModelChunk, ModelRequest, ToolRequest } from '../../../../src/models/model.js'
import type { McpAttachment } from '../../../../src/protocol/session.js'
import { LlmLoop } from '../../../../src/runtimes/llm-loop.js'
import { AttachedServers } from '../../../../src/runtimes/mcp/attached-servers.js'
import type { McpServers } from '../../../../src/runtimes/mcp/servers.js'
import type { Turn } from '../../../../src/runtimes/runtime.js'
import { Supervisor } from '../../../../src/runtimes/tools/supervisor.js'
import { standardTools } from '../../../../src/runtimes/tools/toolbox.js'
import type { PluginRun } from '../../../../src/telemetry/metrics.js'
import { type Entry, recordedTurn } from '../recorded-turn.js'

export const call = (name: string, input: Record<string, unknown> = {}, callId = name): ToolRequest => ({
  callId,
  name,
  input,
})

interface TurnOptions extends Partial<Pick<Turn, 'epoch' | 'beforeEffect' | 'permit' | 'trace'>> {
  readonly entries?: readonly Entry[]
}

/** Ends with the test. */
export async function attachedSession(servers: McpServers, attachments: readonly McpAttachment[], idleMs = 60_000) {
  const supervisor = new Supervisor({ relayBeats: () => 0 })
  const warn = vi.fn((_fields: object, _text: string) => undefined)
  const ran: PluginRun[] = []
  const onRan = (run: PluginRun) => void ran.push(run)
  const attached = new AttachedServers({ servers, sandbox: [], supervisor, log: { warn }, idleMs, onRan })
  onTestFinished(async () => {
    await attached.stop()
    await supervisor.stop()
  })
  const workspace = await mkdtemp(join(tmpdir(), 'workspace-'))
  const requests: ModelRequest[] = []

  /** One task; `answers` are the calls of each answer. */
  const run = async (answers: readonly (readonly ToolRequest[])[], options: TurnOptions = {}) => {
    const { entries: left, ...more } = options
    const recorded = await recordedTurn({ task: 'go', workspace, ...(left && { entries: left }) })
    const turn: Turn = { ...recorded.turn, options: { mcpServers: [...attachments] }, ...more }
    const runtime = attached.runtime(standardTools(), (tools) => {
      return new LlmLoop({ selectModel: () => modelSaying(answers, requests), costOf: () => 0, tools })
    })
    const ended = runtime.run(turn)
    const outcomes = () =>
      Object.fromEntries(
        recorded.entries.flatMap((entry) => (entry.type === 'toolEnded' ? [[entry.call.callId, entry.outcome]] : [])),
      )
    return { ...recorded, ended, outcomes }
  }
  const forget = () =>
    attached.runtime(standardTools(), () => ({ run: async () => ({ output: '' }) })).forget?.('session_000_test')
  const offered = () =>
    requests
      .at(-1)
      ?.tools.map(({ name }) => name)
      .filter((name) => name.startsWith('mcp__')) ?? []
  const uses = () => ran.map(({ name, use, error }) => [name, use, error])
  return { forget, run, workspace, requests, offered, warn, uses, open: () => attached.open }
}

function modelSaying(answers: readonly (readonly ToolRequest[])[], requests: ModelRequest[]): Model {
  let asked = 0
  return {
    provider: 'openai',
    name: 'm',
    async *stream(request): AsyncGenerator<ModelChunk> {
      request.beforeAttempt()
      requests.push(request)
      const toolCalls = answers[asked++] ?? []
      if (toolCalls.length === 0) yield { type: 'text', text: 'done' }
      yield { type: 'end', toolCalls, finishReason: 'stop', usage: { promptTokens: 1, completionTokens: 1 } }
    },
  }
}
