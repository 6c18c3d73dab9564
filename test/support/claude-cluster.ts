/**
 * A worker cluster whose sessions are carried out by the real Claude Code, against a vendor that follows a script.
 */
import { onTestFinished } from 'vitest'
import { costOf } from '../../src/budget/prices.js'
import type { SessionType } from '../../src/protocol/session.js'
import type { AgentMemory } from '../../src/runtimes/agent-memory.js'
import { type ClaudeParts, ClaudeSessions } from '../../src/runtimes/claude/claude-sessions.js'
import type { Transcripts } from '../../src/runtimes/claude/transcript.js'
import { ClaudeCode } from '../../src/runtimes/claude-code.js'
import { ClaudeFlow } from '../../src/runtimes/claude-flow.js'
import type { Runtime } from '../../src/runtimes/runtime.js'
import { Runtimes } from '../../src/runtimes/select.js'
import type { SwarmStore } from '../../src/runtimes/swarm/swarm.js'
import { detectSandbox } from '../../src/runtimes/tools/sandbox.js'
import { Supervisor } from '../../src/runtimes/tools/supervisor.js'
import { Swarms } from '../../src/storage/swarms.js'
import { Transcripts as StoredTranscripts } from '../../src/storage/transcripts.js'
import {
  type Asked,
  type ClaudeVendor,
  type ClaudeVendorOptions,
  type Says,
  startClaudeVendor,
} from './claude-vendor.js'
import { WorkerCluster, type WorkerClusterOptions } from './worker-cluster.js'

export interface ClaudeCluster {
  readonly cluster: WorkerCluster
  readonly vendor: ClaudeVendor
  readonly sessions: ClaudeSessions
}

export interface ClaudeClusterOptions extends ClaudeVendorOptions {
  readonly parts?: Partial<ClaudeParts>
  readonly worker?: Partial<WorkerClusterOptions>
  readonly memory?: AgentMemory
  /** Runtimes of other types, for a vendor at this address. */
  readonly extra?: (url: string) => Partial<Record<SessionType, Runtime>>
}

/** Ends with the test. */
export async function claudeCluster(
  script: (asked: Asked) => Says,
  { parts, worker, memory, extra, ...pace }: ClaudeClusterOptions = {},
): Promise<ClaudeCluster> {
  const vendor = await startClaudeVendor(script, pace)
  const supervisor = new Supervisor({ relayBeats: () => 0 })
  const stored: { transcripts?: Transcripts; swarms?: SwarmStore } = {}
  const transcripts = (): Transcripts => {
    if (!stored.transcripts) throw new Error('the cluster has not started')
    return stored.transcripts
  }
  const swarms = (): SwarmStore => {
    if (!stored.swarms) throw new Error('the cluster has not started')
    return stored.swarms
  }
  const sessions = new ClaudeSessions({
    model: 'claude-sonnet-4-6',
    apiKey: 'sk-vendor',
    baseUrl: vendor.url,
    costOf,
    transcripts: {
      claim: (id, epoch) => transcripts().claim(id, epoch),
      append: (id, epoch, path, entries) => transcripts().append(id, epoch, path, entries),
      clear: (id, epoch) => transcripts().clear(id, epoch),
      load: (id, path) => transcripts().load(id, path),
      paths: (id) => transcripts().paths(id),
    },
    sandbox: await detectSandbox(),
    supervisor,
    limits: { max: 8, idleMs: 60_000 },
    ...parts,
  })
  // Run in reverse: the workers stop first.
  onTestFinished(async () => {
    await sessions.stop()
    await supervisor.stop()
    await vendor.stop()
  })
  const store: SwarmStore = {
    load: (id) => swarms().load(id),
    save: (id, epoch, body) => swarms().save(id, epoch, body),
  }
  const flow = { sessions, swarms: store, memory }
  const runtimes = new Runtimes({
    'claude-code': new ClaudeCode({ sessions, memory }),
    'claude-flow': new ClaudeFlow(flow, 'claude-flow'),
    ruflo: new ClaudeFlow(flow, 'ruflo'),
    ...extra?.(vendor.url),
  })
  const cluster = await WorkerCluster.start({ runtimeOf: (type: SessionType) => runtimes.of(type), ...worker })
  stored.swarms = new Swarms(cluster.database)
  stored.transcripts = new StoredTranscripts(cluster.database)
  return { cluster, vendor, sessions }
}
