/**
 * G1: whatever was accepted, or has begun, ends in an event. "Lost" is a command without one a minute after the last
 * fault has healed, and a harmless command that poison took along. One of whose workers another fault ended was set aside as
 * promised: the service cannot know better.
 */
import type { FaultLine, RunLine } from '../journal.js'
import type { CommandRecord, CommandTable } from './command-table.js'
import { type Findings, timeText } from './findings.js'
import type { StepFacts } from './turn-rules.js'

/** Time that the service has after the last fault has healed. */
export const LOST_AFTER_MS = 60_000

/** Workers that a step must not have survived before it is set aside. */
const QUARANTINE_AFTER = 3

export interface CommandContext {
  readonly findings: Findings
  readonly facts: StepFacts
  readonly run: RunLine
  readonly faults: readonly FaultLine[]
}

export function checkCommands(commands: CommandTable, context: CommandContext): void {
  const healed = lastHealed(context)
  const victims = victimsOf(context.faults)
  for (const command of commands.all()) {
    if (isPromised(command)) checkCommand(command, healed, victims, context)
    checkSessions(command, context)
  }
}

/** Whether a command was promised an end and has none, by the same rule. */
export function losses(context: Omit<CommandContext, 'findings'>): (command: CommandRecord) => boolean {
  const healed = lastHealed(context)
  const victims = victimsOf(context.faults)
  return (command) => isPromised(command) && lossOf(command, healed, context.facts, victims) !== undefined
}

const isPromised = ({ accepted, begun }: CommandRecord): boolean => accepted || begun > 0

const lastHealed = ({ run, faults }: Pick<CommandContext, 'run' | 'faults'>): number =>
  Math.max(run.began, ...faults.map(({ healed }) => healed))

type Victims = ReadonlySet<string>

/** Nodes that were harmed on purpose. */
const victimsOf = (faults: readonly FaultLine[]): Victims => new Set(faults.flatMap(({ node }) => node ?? []))

function checkCommand(command: CommandRecord, healed: number, victims: Victims, context: CommandContext): void {
  context.findings.checked('G1')
  const what = lossOf(command, healed, context.facts, victims)
  if (what !== undefined) lost(command, what, context)
}

function lossOf(command: CommandRecord, healed: number, facts: StepFacts, victims: Victims): string | undefined {
  if (!hasEnded(command, facts)) return 'has no end'
  if (command.quarantined && !command.poison && !metFaults(command, facts, victims))
    return 'is harmless and was set aside'
  const isLate = command.acceptedAt <= healed && command.endedAt > healed + LOST_AFTER_MS
  return isLate ? `ended ${timeText(command.endedAt, healed)} after the last fault had healed` : undefined
}

function metFaults({ id }: CommandRecord, { formers }: StepFacts, victims: Victims): boolean {
  const workers = [...(formers.get(id) ?? [])]
  return workers.length >= QUARANTINE_AFTER && workers.some((node) => victims.has(node))
}

function hasEnded(command: CommandRecord, { finished }: StepFacts): boolean {
  if (command.isTask || command.type === undefined) return command.ends > 0
  // A control command of a session that ends meanwhile is answered by that end.
  return command.updates > 0 || command.ends > 0 || finished.has(command.acceptedIn ?? '')
}

function checkSessions(command: CommandRecord, { findings, run }: CommandContext): void {
  const { session, acceptedIn, alsoIn } = command
  const other = alsoIn ?? session?.id
  if (acceptedIn === undefined || other === undefined || other === acceptedIn) return
  const what = `${command.id} was accepted in session ${acceptedIn} and ${alsoIn ? 'accepted' : 'ran'} in ${other}`
  findings.violated('G2', what, () => [describe(command, run.began), ...(session?.around(command.begunSeq) ?? [])])
}

function lost(command: CommandRecord, what: string, { findings, run }: CommandContext): void {
  findings.violated('G1', `${command.id} was accepted and ${what}`, () => [
    describe(command, run.began),
    ...(command.session?.around(command.endSeq || command.begunSeq || 1) ?? []),
  ])
}

const describe = ({ id, type, acceptedIn, sends, sentAt, acceptedAt }: CommandRecord, began: number): string =>
  `${id}  ${type ?? 'of nobody we know'}, sent ${sends} times, first ${timeText(sentAt, began)}, accepted ` +
  `${timeText(acceptedAt, began)}${acceptedIn === undefined ? '' : ` in ${acceptedIn}`}`
