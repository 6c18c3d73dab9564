/**
 * The picture that edges and workers have of the cluster: beats from Redis and owners from Postgres, read every second.
 * When either cannot be reached, its last picture stands.
 */
import type { NodeId } from '../protocol/ids.js'
import type { ShardAssignments } from '../storage/shard-assignments.js'
import type { Beats } from './beats.js'
import type { ClusterView, ControlLog, LiveNode } from './cluster.js'
import { SILENT_AFTER_MS, Silence } from './silence.js'

const REFRESH_MS = 1_000

export interface NodeDirectoryOptions {
  readonly beats: Pick<Beats, 'read'>
  readonly assignments: Pick<ShardAssignments, 'owners'>
  readonly shardCount: number
  readonly log: ControlLog
}

export class NodeDirectory implements ClusterView {
  readonly #silence = new Silence()
  readonly #failing = new Set<string>()
  #nodes: readonly LiveNode[] = []
  #owners: ReadonlyMap<number, NodeId> = new Map()
  #timer: NodeJS.Timeout | undefined
  #refreshing: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(private readonly options: NodeDirectoryOptions) {}

  get shardCount(): number {
    return this.options.shardCount
  }

  nodes(): readonly LiveNode[] {
    return this.#nodes
  }

  owners(): ReadonlyMap<number, NodeId> {
    return this.#owners
  }

  /** Resolves with the first picture, which is empty while Redis and Postgres are away. */
  async start(): Promise<void> {
    await this.#keepRefreshing()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    await this.#refreshing
  }

  /** Takes a new picture now. */
  async refresh(): Promise<void> {
    await Promise.all([
      this.#attempt('Redis', () => this.#readNodes()),
      this.#attempt('the database', () => this.#readOwners()),
    ])
  }

  async #keepRefreshing(): Promise<void> {
    this.#refreshing = this.refresh()
    await this.#refreshing
    if (this.#stopped) return
    this.#timer = setTimeout(() => void this.#keepRefreshing(), REFRESH_MS).unref()
  }

  async #readNodes(): Promise<void> {
    const beats = await this.options.beats.read()
    const now = performance.now()
    this.#silence.observe(beats, now)
    this.#silence.keep(new Set(beats.map(({ id }) => id)))
    this.#nodes = beats.filter(({ id, status }) => {
      return status !== 'dead' && this.#silence.silentMs(id, now) < SILENT_AFTER_MS
    })
  }

  async #readOwners(): Promise<void> {
    this.#owners = await this.options.assignments.owners()
  }

  /** Logs the first failure of a row, and its end. */
  async #attempt(source: string, read: () => Promise<void>): Promise<void> {
    try {
      await read()
      if (this.#failing.delete(source)) this.options.log.info({}, `the view of the cluster is fresh again: ${source}`)
    } catch (error) {
      if (this.#failing.has(source)) return
      this.#failing.add(source)
      this.options.log.warn({ err: error }, `the view of the cluster grows old: ${source} does not answer`)
    }
  }
}
