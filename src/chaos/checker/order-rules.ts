/**
 * G6: tasks of a session begin in the order of their acceptance. Clients see that order in two ways: acceptances arrive at
 * one connection in order, and what was accepted before another was sent was accepted before it.
 */
import type { ClientLine, FaultLine } from '../journal.js'
import type { CommandRecord, CommandTable } from './command-table.js'
import { type Findings, timeText } from './findings.js'

/**
 * A Redis that loses acceptances gets them again from edges and clients, in an order that nobody promised: acceptances
 * this long before and after do not count as known.
 */
const UNCERTAIN_MS = 5_000

/** Whether an acceptance at this time may have been lost and made again. */
export function acceptanceMayBeLost(faults: readonly FaultLine[]): (at: number) => boolean {
  const losses = faults.filter(({ losesWrites }) => losesWrites)
  return (at) => losses.some(({ began, healed }) => at > began - UNCERTAIN_MS && at < healed + UNCERTAIN_MS)
}

export interface OrderContext {
  readonly findings: Findings
  readonly uncertain: (at: number) => boolean
  readonly began: number
}

/** The acceptances of one client, connection after connection. */
export class AcceptanceOrder {
  /** Per session, the last task that this connection knows to be accepted. */
  readonly #last = new Map<string, CommandRecord>()

  constructor(
    private readonly commands: CommandTable,
    private readonly context: OrderContext,
  ) {}

  take(line: ClientLine): void {
    if (line.kind === 'connected' || line.kind === 'disconnected') this.#last.clear()
    // A repeated command was accepted at some earlier time.
    if (line.kind !== 'accepted' || line.duplicate || this.context.uncertain(line.at)) return
    const command = this.commands.of(line.command)
    if (!command.isTask || command.begunSeq === 0) return
    const before = this.#last.get(line.session)
    this.context.findings.checked('G6')
    if (before && before.begunSeq > command.begunSeq) outOfOrder(before, command, this.context)
    this.#last.set(line.session, command)
  }
}

/** Compares all tasks of all sessions: what was accepted before another was sent begins before it. */
export function checkRealTimeOrder(commands: CommandTable, context: OrderContext): void {
  const bySession = new Map<string, CommandRecord[]>()
  for (const command of commands.all()) {
    const { session } = command
    if (!session || !command.isTask || command.begunSeq === 0) continue
    const list = bySession.get(session.id)
    if (list) list.push(command)
    else bySession.set(session.id, [command])
  }
  for (const list of bySession.values()) checkSession(list, context)
}

function checkSession(list: CommandRecord[], context: OrderContext): void {
  list.sort((a, b) => a.begunSeq - b.begunSeq)
  let lastSent: CommandRecord | undefined
  for (const command of list) {
    context.findings.checked('G6')
    const isKnown = command.accepted && !context.uncertain(command.acceptedAt)
    if (lastSent && isKnown && command.acceptedAt < lastSent.sentAt) outOfOrder(command, lastSent, context)
    if (!lastSent || command.sentAt > lastSent.sentAt) lastSent = command
  }
}

function outOfOrder(first: CommandRecord, second: CommandRecord, { findings, began }: OrderContext): void {
  const what = `session ${first.session?.id}: ${first.id} was accepted before ${second.id} and began after it`
  findings.violated('G6', what, () => [...[second, first].map((each) => describe(each, began))])
}

const describe = ({ id, sentAt, acceptedAt, begunSeq, session }: CommandRecord, began: number): string =>
  `${id}  sent ${timeText(sentAt, began)}, accepted ${timeText(acceptedAt, began)}; ${session?.describe(begunSeq) ?? ''}`

/** `busy` means not accepted: a command that got no other answer has never run. */
export function checkBusy(commands: CommandTable, { findings, began }: OrderContext): void {
  for (const command of commands.all()) {
    if (command.busy === 0) continue
    findings.checked('G6')
    if (command.accepted || command.busy < command.sends || command.begun + command.updates === 0) continue
    const what = `${command.id} was refused as busy each time it was sent, and ran`
    findings.violated('G6', what, () => [describe(command, began)])
  }
}
