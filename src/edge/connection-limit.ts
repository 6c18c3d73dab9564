/**
 * How many connections a principal may have, wherever they are, and how many this edge can hold at all.
 *
 * An upgrade must be answered at once, so the door knows only what has been heard: its own count, what other edges had
 * when this one last asked, and the principals that are known to be full. After the upgrade the edge writes its count and
 * reads the others'; a connection that was one too many is closed again. See docs/decisions/0013-connections-are-counted-twice.md.
 */
import type { NodeId } from '../protocol/ids.js'
import type { EdgeLog } from './dependencies.js'
import type { ConnectionLimitSettings } from './settings.js'
import type { ConnectionCounts } from './shared-counts.js'

/** An idle connection costs about 6 KB here and a file descriptor; beyond this the kernel's limits come first. */
export const MAX_CONNECTIONS_PER_EDGE = 100_000
const TICK_MS = 1_000
/** What other edges had is believed for this long. */
const REMOTE_HOLDS_MS = 1_000
/** Counts are written anew within this time, so that a Redis that lost them learns them again. */
const REWRITE_WITHIN_TICKS = 600
/** Principals at their limit that one tick looks after; the others are found out by the count after the upgrade. */
const MAX_FULL_PER_TICK = 500
/** Counts of connections from before the limit that one tick tells the other edges: 100,000 addresses take 200 s. */
const MAX_INCLUDED_PER_TICK = 500

export interface ConnectionLimitDependencies {
  readonly edge: NodeId
  readonly settings: ConnectionLimitSettings
  /** Undefined: this edge is alone. */
  readonly counts: ConnectionCounts | undefined
  /** Nodes that live: what others wrote before they died does not count. */
  readonly isLive: (node: NodeId) => boolean
  readonly trace: Pick<EdgeLog, 'info' | 'warn'>
}

/** A connection as far as it is counted. */
export interface Counted {
  /** It was one too many. */
  exceed(): void
}

interface Tally {
  readonly principal: string
  readonly open: Set<Counted>
  /** Opened since the count was last written: only these may turn out to be too many. Oldest first. */
  unconfirmed: Counted[]
  /** Connections at other edges, as of `heardAt`. */
  remote: number
  heardAt: number
  writing: boolean
  stale: boolean
}

export class ConnectionLimit {
  readonly #deps: ConnectionLimitDependencies
  readonly #tallies = new Map<string, Tally>()
  /** Not yet known to other edges. */
  readonly #included = new Set<Tally>()
  /** Full as some edge says, possibly this one. */
  #full = new Set<string>()
  /** What this edge said last. */
  #noted: readonly string[] = []
  #total = 0
  #tick = 0
  #ticker: NodeJS.Timeout | undefined
  #isAway = false
  #stopped = false
  #settings: ConnectionLimitSettings

  constructor(deps: ConnectionLimitDependencies) {
    this.#deps = deps
    this.#settings = deps.settings
  }

  /** From now on these count, for connections to come; those that are there stay. */
  adopt(settings: ConnectionLimitSettings): void {
    this.#settings = settings
    // Who was full may have room now; each edge says within a tick who still is.
    this.#full.clear()
  }

  start(): void {
    if (this.#deps.counts) this.#ticker = setInterval(() => void this.#exchange(), TICK_MS)
  }

  stop(): void {
    this.#stopped = true
    clearInterval(this.#ticker)
  }

  /** Whether this edge can hold no more, whoever comes. */
  get isFull(): boolean {
    return this.#total >= this.#settings.perEdge
  }

  /** Whether a principal may have one more connection, as far as it is known here. */
  hasRoomFor(principal: string): boolean {
    const tally = this.#tallies.get(principal)
    const remote = tally && performance.now() - tally.heardAt < REMOTE_HOLDS_MS ? tally.remote : 0
    const known = (tally?.open.size ?? 0) + remote
    return known < this.#settings.perPrincipal && !this.#full.has(principal)
  }

  /** Counts a connection; without a principal it counts for the edge alone. */
  opened(connection: Counted, principal: string | undefined): void {
    this.#total += 1
    if (principal === undefined) return
    const tally = this.#tallies.get(principal) ?? this.#begin(principal)
    tally.open.add(connection)
    if (this.#deps.counts) tally.unconfirmed.push(connection)
    this.#write(tally)
  }

  /** Counts one that was there before it was limited: it stays, and other edges hear of it by and by. */
  include(connection: Counted, principal: string | undefined): void {
    this.#total += 1
    if (principal === undefined) return
    const tally = this.#tallies.get(principal) ?? this.#begin(principal)
    tally.open.add(connection)
    if (this.#deps.counts) this.#included.add(tally)
  }

  closed(connection: Counted, principal: string | undefined): void {
    this.#total -= 1
    const tally = principal === undefined ? undefined : this.#tallies.get(principal)
    if (!tally?.open.delete(connection)) return
    tally.unconfirmed = tally.unconfirmed.filter((other) => other !== connection)
    // A client that comes back for the one it lost must not find the door shut; the count after the upgrade decides.
    this.#full.delete(tally.principal)
    if (!this.#deps.counts && tally.open.size === 0) this.#tallies.delete(tally.principal)
    this.#write(tally)
  }

  #begin(principal: string): Tally {
    const open = new Set<Counted>()
    const tally = { principal, open, unconfirmed: [], remote: 0, heardAt: 0, writing: false, stale: false }
    this.#tallies.set(principal, tally)
    return tally
  }

  /** Writes the count and learns the others'; a change meanwhile is written after that, never beside it. */
  #write(tally: Tally): void {
    const { counts, edge } = this.#deps
    if (!counts) return
    tally.stale = tally.writing
    if (tally.writing) return
    tally.writing = true
    this.#included.delete(tally)
    const asked = tally.unconfirmed
    tally.unconfirmed = []
    counts.write(tally.principal, edge, tally.open.size).then(
      (all) => {
        this.#heard(tally, all, asked)
        this.#written(tally)
      },
      (err: unknown) => {
        // Nobody is sent away on a guess: until Redis answers again, each edge enforces the limit for itself.
        this.#away(err)
        this.#written(tally)
      },
    )
  }

  #heard(tally: Tally, all: ReadonlyMap<NodeId, number>, asked: readonly Counted[]): void {
    const { edge, isLive } = this.#deps
    let remote = 0
    for (const [node, count] of all) if (node !== edge && isLive(node)) remote += count
    tally.remote = remote
    tally.heardAt = performance.now()
    this.#isAway = false
    const excess = tally.open.size - tally.unconfirmed.length + remote - this.#settings.perPrincipal
    if (excess <= 0) return
    for (const connection of asked.filter((it) => tally.open.has(it)).slice(-excess)) connection.exceed()
  }

  #written(tally: Tally): void {
    tally.writing = false
    if (tally.stale) this.#write(tally)
    else if (tally.open.size === 0) this.#tallies.delete(tally.principal)
  }

  /** Tells the other edges who is full, and hears it from them. */
  async #exchange(): Promise<void> {
    const { counts } = this.#deps
    if (!counts) return
    this.#tick += 1
    this.#rewriteSome()
    this.#writeIncluded()
    const full = this.#fullHere()
    const freed = this.#noted.filter((principal) => !full.includes(principal))
    this.#noted = full
    try {
      this.#full = new Set(await counts.exchangeFull(full, freed))
    } catch (err) {
      this.#full.clear()
      this.#away(err)
    }
  }

  #fullHere(): string[] {
    const full: string[] = []
    for (const tally of this.#tallies.values()) {
      if (tally.open.size + tally.remote < this.#settings.perPrincipal) continue
      full.push(tally.principal)
      // Asks again what the others have: they may have fewer by now.
      if (tally.remote > 0) this.#write(tally)
      if (full.length === MAX_FULL_PER_TICK) break
    }
    return full
  }

  #rewriteSome(): void {
    let index = 0
    for (const tally of this.#tallies.values()) {
      if (index % REWRITE_WITHIN_TICKS === this.#tick % REWRITE_WITHIN_TICKS) this.#write(tally)
      index += 1
    }
  }

  #writeIncluded(): void {
    for (const tally of [...this.#included].slice(0, MAX_INCLUDED_PER_TICK)) this.#write(tally)
  }

  #away(err: unknown): void {
    // The last writes may find the connection to Redis closed: this node's counts end with its beats.
    if (this.#isAway || this.#stopped) return
    this.#isAway = true
    this.#deps.trace.warn({ err }, 'Redis does not count connections now: until it does, every edge counts for itself')
  }
}
