/**
 * Hands the lines of clients to the rules that look at them, and measures how long a client is without its edge.
 */
import type { ClientLine, Lines } from '../journal.js'
import type { ClientWalk } from './client-walk.js'
import type { CommandTable } from './command-table.js'
import type { Resumption } from './fault-figures.js'
import { AcceptanceOrder, type OrderContext } from './order-rules.js'

interface ClientParts {
  readonly walk: ClientWalk
  readonly order: AcceptanceOrder
  edge: string
  /** The edge that it lost, until the next one answers. */
  lost: { readonly edge: string; readonly at: number } | undefined
}

export class Clients {
  readonly resumptions: Resumption[] = []
  resets = 0

  constructor(
    private readonly commands: CommandTable,
    private readonly order: OrderContext,
    private readonly walkOf: (client: string) => ClientWalk,
  ) {}

  /** Reads the journal of one process. Each client stands in one. */
  async read(lines: Lines<ClientLine>): Promise<void> {
    const clients = new Map<string, ClientParts>()
    for await (const batch of lines) {
      for (const line of batch) {
        const known = clients.get(line.client)
        const parts = known ?? this.#open(line.client)
        if (!known) clients.set(line.client, parts)
        this.#take(line, parts)
      }
    }
    for (const { walk } of clients.values()) walk.finish()
  }

  #open(client: string): ClientParts {
    const order = new AcceptanceOrder(this.commands, this.order)
    return { walk: this.walkOf(client), order, edge: '', lost: undefined }
  }

  #take(line: ClientLine, parts: ClientParts): void {
    if (line.kind === 'sent') this.commands.sent(line)
    else if (line.kind === 'accepted') this.commands.accepted(line)
    else if (line.kind === 'refused') this.commands.refused(line)
    else if (line.kind === 'subscribed' && line.reset) this.resets += 1
    this.#watchEdge(line, parts)
    parts.order.take(line)
    if (line.kind === 'accepted' && this.commands.of(line.command).type === 'spawn') parts.walk.spawned(line.session)
    parts.walk.take(line)
  }

  #watchEdge(line: ClientLine, parts: ClientParts): void {
    if (line.kind === 'connected') parts.edge = line.edge
    if (line.kind === 'disconnected') parts.lost ??= { edge: parts.edge, at: line.at }
    if (!parts.lost || (line.kind !== 'subscribed' && line.kind !== 'event')) return
    this.resumptions.push({ edge: parts.lost.edge, lostAt: parts.lost.at, ms: line.at - parts.lost.at })
    parts.lost = undefined
  }
}
