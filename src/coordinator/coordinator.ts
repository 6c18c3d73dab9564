/**
 * The coordinator: of all that run, one leads. It watches the nodes, takes shards from the dead and spreads them over the
 * living. Losing it stops only that; two leaders could only waste work, because each change is a compare-and-set.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Beats } from '../cluster/beats.js'
import type { ControlChannel, ControlLog, ControlMessage, LiveNode, ShardLoads } from '../cluster/cluster.js'
import type { NodeId } from '../protocol/ids.js'
import type { ClusterRequests } from '../storage/cluster-requests.js'
import type { LeaderLease, Leadership } from '../storage/leader.js'
import type { NodeRecord, Nodes } from '../storage/nodes.js'
import type { ShardAssignments } from '../storage/shard-assignments.js'
import type { ClusterMetrics } from '../telemetry/metrics.js'
import { type BalancedWorker, balance } from './balancer.js'
import { FailureDetector } from './failure-detector.js'
import { Lease } from './lease.js'
import { type LoadPicture, LoadWatch } from './load-watch.js'
import { type ClusterPicture, OperatorRequests } from './operator-requests.js'
import { Reassignment } from './reassignment.js'

const LEADING_ROUND_MS = 250
/** A candidate watches too, so that it knows who is silent when it takes over. */
const CANDIDATE_ROUND_MS = 500
/** Between rounds while Redis or Postgres cannot be reached: the first pause, and the longest. */
const RETRY_FIRST_MS = 250
const RETRY_MAX_MS = 2_000
/** How long a stop waits for the round under way, and for the resignation. */
const STOP_TIMEOUT_MS = 3_000

export interface CoordinatorDependencies {
  readonly id: NodeId
  readonly shardCount: number
  readonly leader: Pick<LeaderLease, 'campaign' | 'renew' | 'resign'>
  readonly nodes: Pick<Nodes, 'listLive' | 'setStatus' | 'find'>
  readonly assignments: Pick<ShardAssignments, 'ensureShards' | 'list' | 'assign' | 'requestRelease' | 'withdraw'>
  readonly beats: Pick<Beats, 'read' | 'declareDead'>
  /** Names the Redis that holds the beats; another text means another server. */
  readonly primary: () => Promise<string>
  readonly shardLoads: Pick<ShardLoads, 'read'>
  readonly requests: Pick<ClusterRequests, 'listOpen' | 'end'>
  readonly control: ControlChannel
  /** Told of the term in which this process leads, or that it leads no more. */
  readonly onTerm?: (term: Leadership | undefined) => void
  readonly metrics: ClusterMetrics
  readonly log: ControlLog
  /** Monotonic, in ms. */
  readonly clock: () => number
  readonly migrationTimeoutMs: number
}

export class Coordinator {
  readonly #lease: Lease
  readonly #detector = new FailureDetector()
  readonly #reassignment: Reassignment
  readonly #loadWatch: LoadWatch
  readonly #requests: OperatorRequests
  readonly #versions = new Map<NodeId, string>()
  readonly #stopping = new AbortController()
  #running: Promise<void> | undefined
  #ledTerm: number | undefined
  #failures = 0
  #frozen = false
  #stranded = 0
  #wake = () => {}
  #woken = false
  #stopReceiving: (() => Promise<void>) | undefined

  constructor(private readonly deps: CoordinatorDependencies) {
    const { leader, id, clock } = deps
    this.#lease = new Lease({ records: leader, holder: id, clock })
    this.#reassignment = new Reassignment({ ...deps, term: () => this.#lease.term })
    this.#loadWatch = new LoadWatch(deps)
    this.#requests = new OperatorRequests({ ...deps, term: () => this.#lease.term })
  }

  /** True while this process may lead. */
  get leads(): boolean {
    return this.#lease.term !== undefined
  }

  /** Asks for a look at the load of shards, which a leader takes as soon as its last round has settled. */
  requestRound(): void {
    this.#loadWatch.request()
  }

  async start(): Promise<void> {
    this.#stopReceiving ??= await this.deps.control.receive((message) => this.#hear(message))
    this.#running ??= this.#run()
  }

  /** Finishes the round under way and gives the leadership away, so that another can lead at once. */
  async stop(): Promise<void> {
    if (!this.#running) return
    this.#stopping.abort()
    this.#wakeUp()
    await this.#stopReceiving?.()
    const ended = this.#running.then(() => this.#lease.resign())
    const resigned = ended.catch((error: unknown) => {
      this.deps.log.warn({ err: error }, 'the coordinator could not resign; its lease runs out by itself')
    })
    await Promise.race([resigned, sleep(STOP_TIMEOUT_MS, undefined, { ref: false })])
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const succeeded = await this.#attempt()
      await this.#pause(succeeded ? this.#periodMs() : Math.min(RETRY_FIRST_MS * 2 ** this.#failures, RETRY_MAX_MS))
    }
  }

  #periodMs(): number {
    return this.leads ? LEADING_ROUND_MS : CANDIDATE_ROUND_MS
  }

  /** Waits, unless a word came since the last wait that ended. */
  async #pause(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      if (this.#woken) resolve()
      else timer = setTimeout(resolve, ms)
    })
    clearTimeout(timer)
    this.#woken = false
  }

  #wakeUp(): void {
    this.#woken = true
    this.#wake()
  }

  /** Released shards go on at once; those without a place to go to get one in a round that begins now. */
  #hear(message: ControlMessage): void {
    if (message.type !== 'released' || !this.leads) return
    this.#reassignment.released(message.shards).then(
      (placed) => {
        if (!placed) this.#wakeUp()
      },
      (error: unknown) => this.deps.log.warn({ err: error }, 'released shards wait for the next round'),
    )
  }

  /** One round. False when Redis or Postgres could not be reached; all that was not done is found again by the next. */
  async #attempt(): Promise<boolean> {
    const { log } = this.deps
    try {
      await this.#round()
      if (this.#failures > 0)
        log.info({ failures: this.#failures }, 'the coordinator reaches Redis and the database again')
      this.#failures = 0
      return true
    } catch (error) {
      if (this.#failures++ === 0) log.warn({ err: error }, 'the coordinator cannot work now and tries again')
      if (!this.leads) this.deps.metrics.seen(undefined)
      return false
    }
  }

  async #round(): Promise<void> {
    const { beats, nodes, clock } = this.deps
    // Before the lease is renewed: a leader that cannot hear the nodes must let another lead, who perhaps can.
    const [primary, heard] = await Promise.all([this.deps.primary(), beats.read()])
    await this.#noteLeadership(await this.#lease.hold())
    const expected = await nodes.listLive()
    const verdict = this.#detector.judge(expected, heard, clock(), primary)
    if (!this.leads) return this.deps.metrics.seen(undefined)
    this.#noteFreeze(verdict.frozen)
    const dead = new Set(await this.#bury(verdict.dead))
    await this.#remindTheDead(expected, heard)
    const living = expected.filter(({ id }) => !dead.has(id))
    await this.#reassign(living, heard)
    await this.#tellOf([...dead], living)
    this.#show(living)
  }

  #show(living: readonly NodeRecord[]): void {
    const roles = living.map(({ role }) => role)
    this.deps.metrics.seen({ roles, stranded: this.#stranded, frozen: this.#frozen })
  }

  async #noteLeadership(term: Leadership | undefined): Promise<void> {
    const { log, assignments, shardCount } = this.deps
    if (term?.term === this.#ledTerm) return
    this.#reassignment.forget()
    if (term) {
      await assignments.ensureShards(shardCount)
      log.info({ term: term.term }, 'this coordinator leads')
    } else log.info({ term: this.#ledTerm }, 'this coordinator leads no more')
    this.#ledTerm = term?.term
    this.deps.onTerm?.(term)
  }

  #noteFreeze(frozen: boolean): void {
    if (frozen && !this.#frozen)
      this.deps.log.warn({}, 'most nodes fell silent together, or Redis is another; nothing is reassigned for now')
    this.#frozen = frozen
  }

  /** Declares nodes dead, first where it counts, then where they hear it. Returns those that are. */
  async #bury(ids: readonly NodeId[]): Promise<readonly NodeId[]> {
    const { nodes, beats, log, metrics } = this.deps
    const dead: NodeId[] = []
    for (const id of ids) {
      // A leader that was suspended judged by old beats: its lease has run out meanwhile, and it must not act on them.
      if (!this.leads) return dead
      if (await nodes.setStatus(id, 'dead')) {
        log.warn({ node: id }, 'a node is dead')
        metrics.died()
      }
      dead.push(id)
      await beats.declareDead(id)
    }
    return dead
  }

  /** Sessions that a dead node had pinned are freed by the owners of their shards, who would find out in a second. */
  async #tellOf(dead: readonly NodeId[], living: readonly NodeRecord[]): Promise<void> {
    const workers = living.filter(({ role }) => role === 'worker' || role === 'all')
    const words = dead.flatMap((node) => workers.map(({ id }) => this.deps.control.send(id, { type: 'buried', node })))
    await Promise.allSettled(words)
  }

  /** A node that Postgres calls dead but Redis does not: the leader that buried it fell between the two. */
  async #remindTheDead(expected: readonly NodeRecord[], heard: readonly LiveNode[]): Promise<void> {
    const alive = new Set(expected.map(({ id }) => id))
    for (const { id, status } of heard) {
      if (alive.has(id) || status === 'dead') continue
      // Not in the list may also mean that it joined after the list was read.
      const record = await this.deps.nodes.find(id)
      if (record?.status === 'dead') await this.deps.beats.declareDead(id)
    }
  }

  async #reassign(living: readonly NodeRecord[], heard: readonly LiveNode[]): Promise<void> {
    const { assignments, shardCount } = this.deps
    const present = await assignments.list()
    await this.#learnVersions(
      living,
      present.flatMap(({ owner, previousOwner }) => owner ?? previousOwner ?? []),
    )
    await this.#reassignment.observe(present)
    const picture = { assignments: present, workers: workersAmong(living, heard), versions: this.#versions }
    const { wished, round } = await this.#requests.read(picture)
    if (round && !this.#loadWatch.isDue) this.#loadWatch.request()
    const { targets, moving } = this.#reassignment
    const loads = await this.#load(picture)
    // What nobody works on is given away even now: its owner has said so, or Postgres has.
    const waiting = this.#frozen ? { moving: true, wished: new Map() } : { moving, wished }
    const plan = balance({ ...picture, ...loads, ...waiting, shardCount, targets })
    this.#loadWatch.looked(plan)
    await this.#requests.planned(plan)
    this.#noteStranded(plan.stranded.length)
    await this.#reassignment.carryOut(plan)
  }

  #load({ assignments, workers }: ClusterPicture): Promise<LoadPicture> {
    const owners = new Map(assignments.flatMap(({ shard, owner }) => (owner === null ? [] : [[shard, owner]])))
    const ids = workers.map(({ id }) => id)
    return this.#loadWatch.picture(owners, ids)
  }

  async #learnVersions(living: readonly NodeRecord[], owners: readonly NodeId[]): Promise<void> {
    for (const { id, version } of living) this.#versions.set(id, version)
    const wanted = new Set([...owners, ...living.map(({ id }) => id)])
    for (const id of this.#versions.keys()) if (!wanted.has(id)) this.#versions.delete(id)
    for (const id of wanted) {
      if (this.#versions.has(id)) continue
      const record = await this.deps.nodes.find(id)
      // A node that left no record, as in a cluster of one process, demands nothing of its successor.
      this.#versions.set(id, record?.version ?? '')
    }
  }

  #noteStranded(shards: number): void {
    const { log } = this.deps
    if (shards > 0 && this.#stranded === 0) log.warn({ shards }, 'shards wait for a worker that may take them')
    if (shards === 0 && this.#stranded > 0) log.info({}, 'no shard waits for a worker any more')
    this.#stranded = shards
  }
}

/** Workers that have beaten. One that is registered but silent gets nothing; whether it is dead is decided elsewhere. */
export function workersAmong(living: readonly NodeRecord[], heard: readonly LiveNode[]): BalancedWorker[] {
  const beats = new Map(heard.map((beat) => [beat.id, beat]))
  return living
    .filter(({ role }) => role === 'worker' || role === 'all')
    .map(({ id, name, version, status }) => {
      const beat = beats.get(id)
      const draining = status === 'draining' || beat?.status !== 'live'
      return { id, name, version, weight: beat?.weight ?? 1, draining }
    })
}
