/**
 * The load of a fault run: sessions of four kinds behind clients that spread over all edges, and what some faults ask for
 * beside them.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { WebSocketConstructor } from '../../client/web-socket.js'
import { type RandomInteger, seededRandom } from '../seeded-random.js'
import type { ScriptStep } from '../tool-script.js'
import { acceptedOf, Books } from './books.js'
import {
  controlCommand,
  type LoadCommand,
  poisonCommand,
  quickCommand,
  scriptCommand,
  spawnCommand,
  streamingCommand,
} from './command.js'
import type { Crowd } from './crowd.js'
import { Fleet } from './fleet.js'
import type { LoadClient } from './load-client.js'
import { LoadSession } from './load-session.js'
import { Pace } from './pace.js'
import type { CrowdStep, EdgeAddress, Hit, InFlight, LoadPlan, LoadReport, LoadStatus, SpecialCommand } from './plan.js'
import { Roaming } from './roaming.js'

/** Of one session without an end: some seconds of its share. */
const MAX_OPEN = 64
/** A spawn waits for Postgres, and some hundred of them for each other. */
const SPAWN_TIMEOUT_MS = 60_000
/** After the last answer: what would still come has come. */
const SETTLE_MS = 1_500
const POLL_MS = 20
/** More than an inbox may hold, in one burst. */
const BIG_STREAM = { chunks: 1_500, delayMs: 2 }

export class LoadRun {
  readonly #plan: LoadPlan
  readonly #random: RandomInteger
  readonly #books = new Books()
  readonly #fleet: Fleet
  readonly #roaming: Roaming
  readonly #quick: { readonly session: LoadSession; readonly client: LoadClient }[] = []
  readonly #pace: Pace
  #turn = 0
  #ids = 0
  #loading = false
  #crowd: Crowd | undefined

  constructor(plan: LoadPlan, webSocket: WebSocketConstructor) {
    this.#plan = plan
    this.#random = seededRandom(plan.seed)
    const [id, number] = [() => this.#id(), () => ++this.#ids]
    this.#fleet = new Fleet({ plan, webSocket, books: this.#books, id, number })
    this.#roaming = new Roaming(this.#fleet.clients)
    this.#pace = new Pace(plan.rate, () => this.#sendQuick())
  }

  /** Connects, creates the sessions, and begins. */
  async start(): Promise<void> {
    const { mix } = this.#plan
    await this.#fleet.start()
    this.#loading = true
    const started = [
      ...this.#times(mix.quick, (client) => this.#startQuick(client)),
      ...this.#times(mix.streaming, (client) => this.#startLoop(client, 'echo', (id, on) => this.#streaming(id, on))),
      ...this.#times(mix.agents, (client) => this.#startLoop(client, 'llm', (id, on) => this.#agentTask(id, on))),
      ...this.#times(mix.controlled, (client) => this.#startControlled(client)),
    ]
    const late = sleep(SPAWN_TIMEOUT_MS, 'late', { ref: false })
    if ((await Promise.race([Promise.all(started), late])) === 'late') throw new Error('the sessions did not start')
    this.#pace.start()
  }

  setEdges(edges: readonly EdgeAddress[]): void {
    this.#fleet.setEdges(edges)
  }

  faultBegan(hit: Hit): InFlight {
    if (hit.who === 'shards') {
      const wanted = new Set(hit.shards)
      return this.#books.faultBegan(this.#fleet.sessions.filter(({ shard }) => wanted.has(shard)))
    }
    // Sessions stay where they are: what counts is who waits for an answer.
    const { clients } = this.#fleet
    const concerned = hit.who === 'edge' ? clients.filter(({ url }) => url === hit.url) : clients
    const busy = concerned.flatMap(({ sessions }) => [...sessions].filter((session) => acceptedOf(session) > 0))
    return { sessions: busy.length, commands: busy.reduce((sum, session) => sum + acceptedOf(session), 0) }
  }

  faultHealed(): void {
    this.#books.faultHealed()
  }

  status(): LoadStatus {
    const { counts, waiting } = this.#books
    return { counts, open: this.#fleet.open.length, waiting, ...this.#fleet.inFlight() }
  }

  async special(what: SpecialCommand): Promise<void> {
    if (what.kind === 'roam') return this.#roaming.move(what.clients)
    const client = await this.#fleet.join(`s${++this.#ids}`)
    if (what.kind === 'poison') await this.#poison(client)
    else if (what.kind === 'flood') await this.#flood(client, what.commands)
    else await this.#readSlowly(client, what.pauseMs)
  }

  async crowd(order: CrowdStep): Promise<void> {
    if (order.step === 'gather') {
      this.#crowd?.abandon()
      this.#crowd = await this.#fleet.crowd(order.sockets, order.url)
      await this.#crowd.gather()
    } else if (order.step === 'stir') await this.#crowd?.stir()
    else {
      await this.#crowd?.leave()
      this.#crowd = undefined
    }
  }

  /** Sends nothing new, and waits until everything has ended. */
  async finish(timeoutMs: number): Promise<LoadReport> {
    this.#loading = false
    this.#pace.stop()
    const deadline = performance.now() + timeoutMs
    while (this.#fleet.open.length > 0 && performance.now() < deadline) await sleep(POLL_MS)
    const open = this.#fleet.open.length
    await sleep(SETTLE_MS)
    this.#fleet.close()
    this.#crowd?.abandon()
    this.#fleet.closeJournals()
    const { counts, refusals } = this.#books
    return { counts, open, refusals }
  }

  #times(count: number, start: (client: LoadClient) => Promise<unknown>): Promise<unknown>[] {
    const { clients } = this.#fleet
    return Array.from({ length: count }, (_, n) => start(clients[n % clients.length] as LoadClient))
  }

  #id(): string {
    return `k${this.#plan.seed.toString(36)}-${++this.#ids}`
  }

  /** Resolves when the session's first task has ended; `onEnded` hears of every later one. */
  #spawn(client: LoadClient, type: 'echo' | 'llm', onEnded?: LoadSession['onEnded']): Promise<LoadSession> {
    const id = this.#id()
    return new Promise((resolve) => {
      const session = new LoadSession(id, (it, command) => (command.id === id ? resolve(it) : onEnded?.(it, command)))
      client.spawn(session, spawnCommand(id, type))
    })
  }

  async #startQuick(client: LoadClient): Promise<void> {
    this.#quick.push({ session: await this.#spawn(client, 'echo'), client })
  }

  #sendQuick(): boolean {
    for (let tried = 0; tried < this.#quick.length; tried++) {
      const { session, client } = this.#quick[this.#turn++ % this.#quick.length] ?? {}
      if (!session || !client?.connected || session.open.size >= MAX_OPEN) continue
      const command = quickCommand(this.#id(), session.id)
      client.send(session, command)
      if (this.#random(1, 100) <= this.#plan.duplicatesPercent) this.#double(session, command)
      return true
    }
    return false
  }

  #double(session: LoadSession, command: LoadCommand): void {
    for (const client of this.#fleet.doubles) {
      this.#books.counts.duplicates++
      client.sendOnce(session, command)
    }
  }

  /** A session that always has one task, the next one a moment after the last. */
  async #startLoop(
    client: LoadClient,
    type: 'echo' | 'llm',
    task: (id: string, session: LoadSession) => LoadCommand,
  ): Promise<LoadSession> {
    const next = async (session: LoadSession): Promise<void> => {
      await sleep(this.#random(20, 200))
      if (this.#loading && !session.over) client.send(session, task(this.#id(), session))
    }
    const session = await this.#spawn(client, type, (it, { type: ended }) => {
      if (ended === 'execute') void next(it)
    })
    void next(session)
    return session
  }

  #streaming(id: string, session: LoadSession): LoadCommand {
    return streamingCommand(id, session.id, this.#random(10, 40), 40)
  }

  #agentTask(id: string, session: LoadSession): LoadCommand {
    const kinds: readonly ScriptStep[] = ['once', 'once', 'read', 'write', 'once', 'read', 'bash']
    const steps = Array.from({ length: this.#random(1, 3) }, () => kinds[this.#random(0, kinds.length - 1)] ?? 'read')
    return scriptCommand(id, session.id, steps, this.#random(20, 60))
  }

  /** Streams as others do, and is told to pause, go on, cancel and stop meanwhile; a stopped one is followed by a new one. */
  async #startControlled(client: LoadClient): Promise<void> {
    const session = await this.#startLoop(client, 'echo', (id, on) => this.#streaming(id, on))
    void this.#control(client, session)
  }

  async #control(client: LoadClient, session: LoadSession): Promise<void> {
    const tell = (type: 'stop' | 'resume' | 'cancel') =>
      client.send(session, controlCommand(this.#id(), session.id, type))
    for (;;) {
      await sleep(this.#random(500, 4_000))
      if (!this.#loading) return
      const choice = this.#random(1, 10)
      if (choice <= 5) tell('cancel')
      else if (choice <= 8) {
        // Two that are under way together may be accepted in either order, and the session would stay paused for ever.
        await this.#toItsEnd(client, session, controlCommand(this.#id(), session.id, 'pause'))
        await sleep(this.#random(50, 500))
        tell('resume')
      } else {
        tell('stop')
        await this.#startControlled(client)
        return
      }
    }
  }

  async #poison(client: LoadClient): Promise<void> {
    const session = await this.#spawn(client, 'llm')
    await this.#toItsEnd(client, session, poisonCommand(this.#id(), session.id))
  }

  /** Resolves when all have ended, however often they had to be sent. */
  async #flood(client: LoadClient, commands: number): Promise<void> {
    const session = await this.#spawn(client, 'echo')
    for (let n = 0; n < commands; n++) client.send(session, quickCommand(this.#id(), session.id))
    while (session.open.size > 0) await sleep(POLL_MS)
  }

  async #readSlowly(client: LoadClient, pauseMs: number): Promise<void> {
    const session = await this.#spawn(client, 'echo')
    const { chunks, delayMs } = BIG_STREAM
    const ended = this.#toItsEnd(client, session, streamingCommand(this.#id(), session.id, chunks, delayMs))
    await sleep(POLL_MS)
    client.stopReading()
    await sleep(pauseMs)
    client.readOn()
    await ended
  }

  async #toItsEnd(client: LoadClient, session: LoadSession, command: LoadCommand): Promise<void> {
    client.send(session, command)
    while (session.open.has(command.id)) await sleep(POLL_MS)
  }
}
