/**
 * Fits storage, runtimes and models to what a worker asks for.
 */
import { resolve } from 'node:path'
import type { PriceList } from '../budget/prices.js'
import type { Member } from '../cluster/cluster.js'
import type { Config } from '../config/load.js'
import { Window } from '../memory/window.js'
import { metered } from '../models/metered.js'
import { selectModel } from '../models/select.js'
import { type NodeId, newDeadLetterId } from '../protocol/ids.js'
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
import { Approvals } from '../storage/approvals.js'
import type { AuditTrail } from '../storage/audit-trail.js'
import type { Database } from '../storage/database.js'
import { DeadLetters } from '../storage/dead-letters.js'
import { DormantSessions } from '../storage/dormant-sessions.js'
import { Events } from '../storage/events.js'
import { LeaderLease } from '../storage/leader.js'
import { Nodes } from '../storage/nodes.js'
import { throughOutage } from '../storage/outage.js'
import { Projection } from '../storage/projection.js'
import { Sessions } from '../storage/sessions.js'
import { ShardAssignments } from '../storage/shard-assignments.js'
import { Swarms } from '../storage/swarms.js'
import { ToolIntents } from '../storage/tool-intents.js'
import { Transcripts } from '../storage/transcripts.js'
import { Workspaces } from '../storage/workspaces.js'
import type { Log } from '../telemetry/log.js'
import type { Metrics } from '../telemetry/metrics.js'
import type { WorkerStorage } from '../worker/worker-storage.js'
import { WorkspaceKeeper } from '../worker/workspace-keeper.js'
import { type OpenCharter, windowSettings } from './charter-parts.js'
import { toolHooks } from './hook-parts.js'
import type { Lifecycle } from './lifecycle.js'
import { attachedServers } from './mcp-parts.js'

/** `episodicDays`: see `Projection`. */
export function workerStorage(
  database: Database,
  node: NodeId,
  audit: Pick<AuditTrail, 'add'>,
  episodicDays = 0,
): WorkerStorage {
  const assignments = new ShardAssignments(database)
  const sessions = new Sessions(database)
  const events = new Events(database)
  const nodes = new Nodes(database)
  const deadLetters = new DeadLetters(database)
  const approvals = new Approvals(database)
  const intents = new ToolIntents(database)
  const leader = new LeaderLease(database)
  const projection = new Projection(database, episodicDays)
  const dormant = new DormantSessions(database)
  return {
    assigned: async () =>
      (await assignments.ownedBy(node)).map(({ shard, epoch, state, previousOwner }) => ({
        shard,
        epoch,
        state,
        previousOwner: previousOwner ?? undefined,
      })),
    release: (shards) => assignments.release(shards, node),
    raise: (shard, toEpoch) => assignments.raise(shard, node, toEpoch),
    ownerOf: async (shard) => (await assignments.find(shard))?.owner ?? undefined,
    leader: async () => (await leader.current())?.holder,
    project: (batches) => projection.project(batches),
    lastEvent: (id) => events.last(id),
    pageEvents: (id, after, upTo, limit) => events.page(id, after, upTo, limit),
    pageEventsBack: (id, upTo, limit) => events.pageBack(id, upTo, limit),
    beginOnce: (call, signal) => throughOutage(() => intents.begin(call), { signal }),
    requestApproval: (asked, signal) => throughOutage(() => approvals.request(asked), { signal }),
    settledApprovals: (ids) => approvals.settled(ids),
    cancelApprovals: (id, command) => throughOutage(() => approvals.cancel(id, command)),
    audit: (entry) => audit.add(entry),
    recordDeadLetter: async (letter) => {
      const id = newDeadLetterId()
      await throughOutage(() => deadLetters.record({ ...letter, id, command: JSON.stringify(letter.command) }))
      return id
    },
    whereabouts: (id) => dormant.find(id),
    dormant,
    unsubmitted: async (shards, olderThanMs, limit) =>
      (await sessions.findUnsubmitted(shards, olderThanMs, limit)).map((row) => ({ ...row, sessionId: row.id })),
    ending: async (id) => {
      const record = await nodes.find(id)
      return record?.endedAt ? { planned: record.status === 'left', at: record.endedAt } : undefined
    },
  }
}

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

/** What carries out turns, and what runs around their tool calls. */
export interface OpenRuntimes {
  readonly runtimes: Runtimes
  readonly hooks: ToolHooks | undefined
}

export async function openRuntimes(parts: RuntimeParts): Promise<OpenRuntimes> {
  const { config, settings, metrics, member, lifecycle, database, log, memory } = parts
  const { openai, anthropic, worker } = config
  const { costOf } = parts.prices
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
  const model = async (wanted?: string) =>
    metered(await select(wanted), { costOf, onCall: (call) => metrics.modelCall(call) })
  const sandbox = await detectSandbox()
  const supervisor = new Supervisor({ relayBeats: (pipe) => member.relayBeats(pipe) })
  lifecycle.started('supervisor of commands', () => supervisor.stop())
  const options = { allowPrivateNetwork: worker.webFetchAllowPrivate, sandbox, supervisor, memory }
  const onWaiting = (change: number) => metrics.toolsWaiting(change)
  const tools = standardTools({ ...options, onCall: (call) => metrics.toolCall(call), onWaiting })
  const claude = new ClaudeSessions({
    ...anthropic,
    get model() {
      return settings.anthropic.model
    },
    program: config.claude.program === undefined ? undefined : resolve(config.claude.program),
    costOf,
    transcripts: new Transcripts(database),
    sandbox,
    supervisor,
    limits: {
      get max() {
        return settings.claude.maxProcesses
      },
      get idleMs() {
        return settings.claude.idleTimeoutMs
      },
    },
    onToolCall: (call) => metrics.toolCall(call),
    onToolWaiting: onWaiting,
    onModelCall: (call) => metrics.modelCall(call),
  })
  lifecycle.started('Claude Code', () => claude.stop())
  const servers = await attachedServers({ config, lifecycle, log, sandbox, supervisor, plugins: metrics.plugins })
  const flow = { sessions: claude, swarms: new Swarms(database), memory }
  const window = new Window(windowSettings(settings, parts.charter))
  const hooks = await toolHooks({ config, log, sandbox, supervisor, plugins: metrics.plugins })
  const all = new Runtimes({
    echo: new Echo(),
    llm: servers.runtime(tools, (all) => new LlmLoop({ selectModel: model, costOf, tools: all, window, memory })),
    'claude-code': new ClaudeCode({ sessions: claude, memory }),
    'claude-flow': new ClaudeFlow(flow, 'claude-flow'),
    ruflo: new ClaudeFlow(flow, 'ruflo'),
  })
  return { runtimes: all, hooks }
}

export function workspaceKeeper({ worker }: Config, database: Database): WorkspaceKeeper {
  const workspaces = new Workspaces(database)
  const store = {
    save: workspaces.save.bind(workspaces),
    load: workspaces.load.bind(workspaces),
    hashes: workspaces.listHashes.bind(workspaces),
  }
  return new WorkspaceKeeper(resolve(worker.workspaceRoot), store, false)
}
