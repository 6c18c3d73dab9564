/**
 * All clients of the load, over all edges, and the journals that they write.
 */
import type { WebSocketConstructor } from '../../client/web-socket.js'
import { ClientRecorder } from '../client-recorder.js'
import type { ClientLine } from '../journal.js'
import { JournalWriter, journalFiles } from '../journal-file.js'
import { acceptedOf, type Books } from './books.js'
import { Crowd, type CrowdMember } from './crowd.js'
import { LoadClient } from './load-client.js'
import type { LoadSession, OpenCommand } from './load-session.js'
import type { EdgeAddress, LoadPlan, LoadStatus } from './plan.js'

const CLIENTS_PER_EDGE = 8

export interface FleetParts {
  readonly plan: LoadPlan
  readonly webSocket: WebSocketConstructor
  readonly books: Books
  /** A name that nobody else has. */
  readonly id: () => string
  readonly number: () => number
}

export class Fleet {
  readonly clients: LoadClient[] = []
  /** One for each edge, which sends what others send. */
  readonly doubles: LoadClient[] = []
  readonly #parts: FleetParts
  /** Nodes by their addresses. */
  readonly #edges = new Map<string, string>()
  readonly #journals: JournalWriter<ClientLine>[] = []

  constructor(parts: FleetParts) {
    this.#parts = parts
  }

  /** Connects those that there are from the beginning. */
  async start(): Promise<void> {
    const { edges } = this.#parts.plan
    this.setEdges(edges)
    for (let n = 0; n < edges.length * CLIENTS_PER_EDGE; n++) this.clients.push(this.#client(`c${n + 1}`, edges))
    for (const [n, edge] of edges.entries()) this.doubles.push(this.#client(`d${n + 1}`, [edge], false))
    await Promise.all([...this.clients, ...this.doubles].map((client) => client.start()))
  }

  setEdges(edges: readonly EdgeAddress[]): void {
    for (const { url, node } of edges) this.#edges.set(url, node)
  }

  /** One more client, connected. */
  async join(name: string): Promise<LoadClient> {
    const client = this.#client(name, this.#parts.plan.edges)
    this.clients.push(client)
    await client.start()
    return client
  }

  /** Sockets on one edge; see `Crowd`. */
  async crowd(sockets: number, url: string): Promise<Crowd> {
    const { plan, id, number } = this.#parts
    const name = `w${number()}`
    const speaker = await this.join(name)
    const journal = this.#journal(`${name}-crowd`)
    const others = plan.edges.map((edge) => edge.url).filter((edge) => edge !== url)
    const member = (n: number): CrowdMember => {
      // Its link looks at this list anew for each connection.
      const urls = [url]
      const next = others.map((_, at) => others[(n + at) % others.length] as string)
      return { client: this.#clientAt(`${name}-${n}`, urls, journal, true), release: () => urls.push(...next) }
    }
    return new Crowd({ sockets, speaker, member, id })
  }

  close(): void {
    // Whoever still misses an end has waited for the longest time: the log says whether it should have come.
    for (const client of this.clients) client.close(true)
    for (const client of this.doubles) client.close(false)
  }

  /** Nothing is written after this. */
  closeJournals(): void {
    for (const journal of this.#journals) journal.close()
  }

  get sessions(): LoadSession[] {
    return this.clients.flatMap(({ sessions }) => [...sessions])
  }

  get open(): OpenCommand[] {
    return this.clients.flatMap(({ open }) => open)
  }

  /** Accepted commands that have not ended, by where a fault would hit them. */
  inFlight(): Pick<LoadStatus, 'inFlightShards' | 'inFlightEdges'> {
    const inFlightShards: Record<number, number> = {}
    const inFlightEdges: Record<string, number> = {}
    for (const { sessions, url } of this.clients) {
      for (const session of sessions) {
        const accepted = acceptedOf(session)
        if (accepted === 0) continue
        inFlightShards[session.shard] = (inFlightShards[session.shard] ?? 0) + accepted
        inFlightEdges[url] = (inFlightEdges[url] ?? 0) + accepted
      }
    }
    return { inFlightShards, inFlightEdges }
  }

  #client(name: string, edges: readonly EdgeAddress[], watches = true): LoadClient {
    const urls = edges.map(({ url }) => url)
    return this.#clientAt(name, urls, this.#journal(name), watches)
  }

  #journal(name: string): JournalWriter<ClientLine> {
    const journal = new JournalWriter<ClientLine>(journalFiles.clients(this.#parts.plan.folder, name))
    this.#journals.push(journal)
    return journal
  }

  #clientAt(name: string, urls: readonly string[], journal: JournalWriter<ClientLine>, watches: boolean): LoadClient {
    const { plan, webSocket, books: listener } = this.#parts
    const recorder = new ClientRecorder(name, (line) => journal.append(line))
    const nodeAt = (url: string): string => this.#edges.get(url) ?? url
    return new LoadClient({ urls, nodeAt, webSocket, recorder, watches, token: plan.token, listener })
  }
}
