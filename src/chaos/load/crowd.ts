/**
 * Many sockets on one edge, most of them silent, as most users are: each watches one of a few sessions. When the edge is
 * lost, each has to find another one, and must get there what was said meanwhile.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { controlCommand, type LoadCommand, quickCommand, spawnCommand } from './command.js'
import type { LoadClient } from './load-client.js'
import { LoadSession } from './load-session.js'

const SOCKETS_PER_SESSION = 100
/** Connections that are being made at the same time, below the backlog of a listening socket. */
const CONNECTING = 100
/** A busy machine of two cores takes some seconds for thousands of them. */
const TIMEOUT_MS = 45_000
const POLL_MS = 20

export interface CrowdParts {
  readonly sockets: number
  /** Creates the sessions and talks to them. */
  readonly speaker: LoadClient
  /** A client that connects to the edge at first, and to others when it has lost it. */
  readonly member: (number: number) => CrowdMember
  readonly id: () => string
}

export interface CrowdMember {
  readonly client: LoadClient
  /** It stands on the edge: from now on it may go elsewhere. */
  release(): void
}

interface Watcher {
  readonly client: LoadClient
  readonly session: LoadSession
  /** The speaker's own view of the same session. */
  readonly told: LoadSession
}

export class Crowd {
  readonly #parts: CrowdParts
  readonly #sessions: LoadSession[] = []
  readonly #watchers: Watcher[] = []

  constructor(parts: CrowdParts) {
    this.#parts = parts
  }

  /** Resolves when all sockets stand and have what there is to know. @throws Error when they do not in time. */
  async gather(): Promise<void> {
    const { sockets } = this.#parts
    const sessions = Math.ceil(sockets / SOCKETS_PER_SESSION)
    for (let n = 0; n < sessions; n++) this.#spawn()
    await this.#untilAnswered()
    for (let from = 0; from < sockets; from += CONNECTING) {
      const numbers = Array.from({ length: Math.min(CONNECTING, sockets - from) }, (_, n) => from + n)
      await this.#within(Promise.all(numbers.map((number) => this.#join(number))))
    }
    await this.#untilAllKnow()
  }

  /** Something is said in each session. Resolves when all have heard of it. @throws Error when they have not in time. */
  async stir(): Promise<void> {
    await this.#say((session, id) => quickCommand(id, session.id))
  }

  /** Ends the sessions and the connections. */
  async leave(): Promise<void> {
    await this.#say((session, id) => controlCommand(id, session.id, 'stop'))
    this.#close(true)
  }

  /** Ends the connections of a crowd that something went wrong with. */
  abandon(): void {
    this.#close(false)
  }

  #close(complete: boolean): void {
    for (const { client } of this.#watchers.splice(0)) client.close(complete)
  }

  #spawn(): void {
    const id = this.#parts.id()
    const session = new LoadSession(id)
    this.#sessions.push(session)
    this.#parts.speaker.spawn(session, spawnCommand(id, 'echo'))
  }

  async #join(number: number): Promise<void> {
    const { client, release } = this.#parts.member(number)
    const told = this.#sessions[number % this.#sessions.length] as LoadSession
    await client.start()
    release()
    const session = new LoadSession(told.name)
    session.id = told.id
    client.watch(session)
    this.#watchers.push({ client, session, told })
  }

  async #say(command: (session: LoadSession, id: string) => LoadCommand): Promise<void> {
    for (const session of this.#sessions) this.#parts.speaker.send(session, command(session, this.#parts.id()))
    await this.#untilAnswered()
    await this.#untilAllKnow()
  }

  #untilAnswered(): Promise<void> {
    return this.#until('answers', () => this.#sessions.filter(({ open }) => open.size > 0).length)
  }

  #untilAllKnow(): Promise<void> {
    return this.#until('what was said', () => this.#watchers.filter((watcher) => !knowsAll(watcher)).length)
  }

  async #until(what: string, missing: () => number): Promise<void> {
    const deadline = performance.now() + TIMEOUT_MS
    while (missing() > 0) {
      if (performance.now() > deadline) throw new Error(`${missing()} of the crowd still lack ${what}`)
      await sleep(POLL_MS)
    }
  }

  async #within(connecting: Promise<unknown>): Promise<void> {
    const late = sleep(TIMEOUT_MS, 'late', { ref: false })
    if ((await Promise.race([connecting, late])) === 'late') throw new Error('the crowd could not connect')
  }
}

const knowsAll = ({ client, session, told }: Watcher): boolean =>
  client.connected && !session.asking && session.position.eventId === told.position.eventId
