/**
 * What carries out turns, fitted together: runtimes, the models and tools that they use, and hooks around their tool calls.
 */
import { resolve } from 'node:path'
import type { PriceList } from '../budget/prices.js'
import type { Member } from '../cluster/cluster.js'
import type { Config } from '../config/load.js'
import { Window } from '../memory/window.js'
import { metered } from '../models/metered.js'
import type { Model } from '../models/model.js'
import { selectModel } from '../models/select.js'
import type { AgentMemory } from '../runtimes/agent-memory.js'
import { ClaudeSessions } from '../runtimes/claude/claude-sessions.js'
import { ClaudeCode } from '../runtimes/claude-code.js'
import { ClaudeFlow } from '../runtimes/claude-flow.js'
import { Echo } from '../runtimes/echo.js'
import type { ToolHooks } from '../runtimes/hooks/hooks.js'
import { LlmLoop } from '../runtimes/llm-loop.js'
import { Runtimes } from '../runtimes/select.js'
import { detectSandbox } from '../runtimes/tools/sandbox.js'
import { Supervisor } from '../runtimes/tools/supervisor.js'
import { standardTools } from '../runtimes/tools/toolbox.js'
import type { Database } from '../storage/database.js'
import { Swarms } from '../storage/swarms.js'
import { Transcripts } from '../storage/transcripts.js'
import type { Log } from '../telemetry/log.js'
import type { Metrics, ModelCall } from '../telemetry/metrics.js'
import { type OpenCharter, windowSettings } from './charter-parts.js'
import { toolHooks } from './hook-parts.js'
import type { Lifecycle } from './lifecycle.js'
import { attachedServers } from './mcp-parts.js'

export interface RuntimeParts {
  readonly prices: PriceList
  /** As of the start. */
  readonly config: Config
  /** As they stand now. */
  readonly settings: Config
  readonly metrics: Metrics
  readonly member: Pick<Member, 'relayBeats'>
  readonly lifecycle: Lifecycle
  readonly database: Database
  readonly log: Log
  readonly memory: AgentMemory
  readonly charter: Pick<OpenCharter, 'limits'>
}

export interface OpenRuntimes {
  readonly runtimes: Runtimes
  /** Undefined where the operator has declared none. */
  readonly hooks: ToolHooks | undefined
}

export async function openRuntimes(parts: RuntimeParts): Promise<OpenRuntimes> {
  const { config, settings, metrics, member, lifecycle, database, log, memory } = parts
  const { costOf } = parts.prices
  const model = modelChoice(parts)
  const sandbox = await detectSandbox()
  const supervisor = new Supervisor({ relayBeats: (pipe) => member.relayBeats(pipe) })
  lifecycle.started('supervisor of commands', () => supervisor.stop())
  const guard = { sandbox, supervisor }
  const options = { ...guard, memory, allowPrivateNetwork: config.worker.webFetchAllowPrivate }
  const tools = standardTools({
    ...options,
    onCall: (call) => metrics.toolCall(call),
    onWaiting: (change) => metrics.toolsWaiting(change),
  })
  const claude = claudeSessions(parts, guard)
  lifecycle.started('Claude Code', () => claude.stop())
  const servers = await attachedServers({ config, lifecycle, log, ...guard, plugins: metrics.plugins })
  const flow = { sessions: claude, swarms: new Swarms(database), memory }
  const window = new Window(windowSettings(settings, parts.charter))
  const hooks = await toolHooks({ config, log, ...guard, plugins: metrics.plugins })
  const runtimes = new Runtimes({
    echo: new Echo(),
    llm: servers.runtime(tools, (all) => new LlmLoop({ selectModel: model, costOf, tools: all, window, memory })),
    'claude-code': new ClaudeCode({ sessions: claude, memory }),
    'claude-flow': new ClaudeFlow(flow, 'claude-flow'),
    ruflo: new ClaudeFlow(flow, 'ruflo'),
  })
  return { runtimes, hooks }
}

/** The model that a session wants, or the one that the settings name at the time. */
function modelChoice({ config, settings, prices, metrics }: RuntimeParts): (wanted?: string) => Promise<Model> {
  const { openai, anthropic } = config
  const select = (wanted?: string) =>
    selectModel({
      openaiModel: settings.openai.model,
      anthropicModel: settings.anthropic.model,
      wanted,
      ...(openai.apiKey !== undefined && { openaiApiKey: openai.apiKey }),
      ...(openai.organization !== undefined && { openaiOrgId: openai.organization }),
      ...(openai.baseUrl !== undefined && { openaiBaseUrl: openai.baseUrl }),
      ...(anthropic.apiKey !== undefined && { anthropicApiKey: anthropic.apiKey }),
      ...(anthropic.baseUrl !== undefined && { anthropicBaseUrl: anthropic.baseUrl }),
    })
  // A vendor that is configured is loaded meanwhile; one that is not is said to the session that asks for it.
  select().catch(() => undefined)
  const meter = { costOf: prices.costOf, onCall: (call: ModelCall) => metrics.modelCall(call) }
  return async (wanted) => metered(await select(wanted), meter)
}

function claudeSessions(
  { config, settings, prices, metrics, database }: RuntimeParts,
  guard: { readonly sandbox: readonly string[]; readonly supervisor: Supervisor },
): ClaudeSessions {
  return new ClaudeSessions({
    ...config.anthropic,
    ...guard,
    get model() {
      return settings.anthropic.model
    },
    program: config.claude.program === undefined ? undefined : resolve(config.claude.program),
    costOf: prices.costOf,
    transcripts: new Transcripts(database),
    limits: {
      get max() {
        return settings.claude.maxProcesses
      },
      get idleMs() {
        return settings.claude.idleTimeoutMs
      },
    },
    onToolCall: (call) => metrics.toolCall(call),
    onToolWaiting: (change) => metrics.toolsWaiting(change),
    onModelCall: (call) => metrics.modelCall(call),
  })
}
