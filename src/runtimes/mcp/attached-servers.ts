/**
 * The MCP servers of the sessions on this worker: one connection per session and server, made with the first turn and
 * closed when the session rests, ends, or belongs to another owner.
 */
import type { PluginRun } from '../../telemetry/metrics.js'
import { finishedAnswer, type Runtime, type Stopping, type TaskResult, type Turn } from '../runtime.js'
import type { Supervisor } from '../tools/supervisor.js'
import type { Tool } from '../tools/tool.js'
import type { Toolbox } from '../tools/toolbox.js'
import { ServerLink } from './server-link.js'
import type { McpServer, McpServers } from './servers.js'

/** A session that gets no task for so long is at rest. */
const IDLE_MS = 60_000
/** Processes and connections on one worker: beyond so many, those of sessions without a task make room. */
const MAX_LINKS = 64
/** What a vendor takes of tools, less our own. */
const MAX_OFFERED = 100

export interface AttachedServersParts {
  readonly servers: McpServers
  readonly sandbox: readonly string[]
  readonly supervisor?: Pick<Supervisor, 'watch'>
  readonly log: { warn(fields: object, text: string): void }
  readonly idleMs?: number
  /** Told of every call and connection that ended. */
  readonly onRan?: (run: PluginRun) => void
}

/** Of one session. */
interface Attached {
  readonly links: readonly ServerLink[]
  /** What it was made with: another owner's is of no use. */
  readonly version: string
  isBusy: boolean
  isForgotten: boolean
  idle: NodeJS.Timeout | undefined
}

export class AttachedServers {
  readonly #parts: AttachedServersParts
  /** The one that was used longest ago comes first. */
  readonly #attached = new Map<string, Attached>()
  #isStopped = false

  constructor(parts: AttachedServersParts) {
    this.#parts = parts
  }

  /** Connections that are open now. */
  get open(): number {
    return [...this.#attached.values()].flatMap(({ links }) => links).filter(({ isOpen }) => isOpen).length
  }

  /** A runtime whose sessions have the tools of their servers besides `tools`. */
  runtime(tools: Toolbox, over: (tools: Toolbox) => Runtime): Runtime {
    const plain = over(tools)
    return {
      run: async (turn) => {
        const isDone = finishedAnswer(turn) !== undefined
        if (isDone || !turn.options.mcpServers?.length) return await plain.run(turn)
        return await this.#run(turn, (attached) => over(tools.with(() => offeredBy(attached))))
      },
      forget: (sessionId) => this.#forget(sessionId),
    }
  }

  /** Ends all of them; may be called twice. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await Promise.all([...this.#attached.keys()].map((sessionId) => this.#close(sessionId)))
  }

  /** @throws ServiceError `mcp_server_refused` */
  async #run(turn: Turn, over: (attached: Attached) => Runtime): Promise<TaskResult> {
    const servers = this.#parts.servers.of(turn.options.mcpServers ?? [])
    const attached = await this.#attach(turn, servers)
    try {
      await Promise.all(attached.links.map((link) => link.attach(turn)))
      return await over(attached).run(turn)
    } finally {
      await this.#release(turn, attached)
    }
  }

  async #attach(turn: Turn, servers: readonly McpServer[]): Promise<Attached> {
    const { sessionId, epoch, workspace } = turn
    if (this.#isStopped) throw new Error('the worker stops')
    const version = JSON.stringify([epoch, servers])
    const known = this.#attached.get(sessionId)
    // Under a former ownership others may have used them meanwhile, and the files are others.
    if (known && known.version !== version) await this.#close(sessionId)
    await this.#makeRoom(servers.length)
    const parts = { ...this.#parts, sessionId, workspace }
    const attached = this.#attached.get(sessionId) ?? {
      links: servers.map((server) => new ServerLink(server, parts)),
      version,
      isBusy: true,
      isForgotten: false,
      idle: undefined,
    }
    clearTimeout(attached.idle)
    attached.isBusy = true
    attached.isForgotten = false
    this.#attached.delete(sessionId)
    this.#attached.set(sessionId, attached)
    return attached
  }

  /** Those of turns that run are bounded by the slots for turns. */
  async #makeRoom(count: number): Promise<void> {
    for (const [sessionId, { isBusy }] of [...this.#attached]) {
      const links = [...this.#attached.values()].reduce((sum, each) => sum + each.links.length, 0)
      if (links + count <= MAX_LINKS) return
      if (!isBusy) await this.#close(sessionId)
    }
  }

  async #release({ sessionId, signal }: Turn, attached: Attached): Promise<void> {
    attached.isBusy = false
    const isOver = signal.aborted && (signal.reason as Stopping).kind !== 'cancelled'
    if (isOver || attached.isForgotten || this.#isStopped) return await this.#close(sessionId)
    attached.idle = setTimeout(() => void this.#close(sessionId), this.#parts.idleMs ?? IDLE_MS)
    attached.idle.unref()
  }

  #forget(sessionId: string): void {
    const attached = this.#attached.get(sessionId)
    if (!attached) return
    attached.isForgotten = true
    if (!attached.isBusy) void this.#close(sessionId)
  }

  async #close(sessionId: string): Promise<void> {
    const attached = this.#attached.get(sessionId)
    if (!attached) return
    clearTimeout(attached.idle)
    this.#attached.delete(sessionId)
    await Promise.all(attached.links.map((link) => link.close()))
  }
}

const offeredBy = ({ links }: Attached): readonly Tool[] => links.flatMap(({ tools }) => tools).slice(0, MAX_OFFERED)
