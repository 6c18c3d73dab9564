/**
 * Ways to spoil a correct history, each as a bug of the service would, and the guarantee that must be named for it.
 */
import type { Guarantee } from '../../../src/chaos/checker/findings.js'
import type { Accepted, ClientLine, LogLine, Seen, TextSeen } from '../../../src/chaos/journal.js'
import type { SeededRandom } from '../random.js'
import type { StoryLines } from './story.js'

export interface Mutation {
  readonly name: string
  readonly expected: Guarantee
  /** Whether it needs a history in which Redis lost writes, or one in which it did not. */
  readonly losesWrites: boolean
  /** Changes the lines; false when the history offers nothing to spoil. */
  apply(lines: StoryLines, random: SeededRandom): boolean
}

export const MUTATIONS: readonly Mutation[] = [
  calm('an event is dropped from the log', 'G3', (lines, random) => {
    const victim = pick(random, lines.log, (line) => line.event !== headOf(lines.log, line.session))
    lines.log = lines.log.filter((line) => line.session !== victim?.session || line.event !== victim.event)
    return victim !== undefined
  }),
  calm('the end of a log is dropped, and nobody saw it', 'G1', (lines, random) => {
    const victim = pick(random, lines.log, (line) => line.type === 'task_completed')
    if (!victim) return false
    const isCut = (line: { session: string; event: string }): boolean =>
      line.session === victim.session && seqOf(line.event) >= seqOf(victim.event)
    lines.log = lines.log.filter((line) => !isCut(line))
    lines.clients = lines.clients.map((journal) =>
      journal.filter((line) => !('session' in line && 'event' in line && line.kind !== 'subscribed' && isCut(line))),
    )
    return true
  }),
  calm('an event is dropped on its way to a client', 'G4', (lines, random) =>
    change(lines, random, isSeen, (journal, index) => journal.splice(index, 1)),
  ),
  calm('an event comes twice to a client', 'G4', (lines, random) =>
    change(lines, random, isSeen, (journal, index, line) => journal.splice(index, 0, line)),
  ),
  calm('two events change places on their way to a client', 'G4', (lines, random) =>
    change(
      lines,
      random,
      (line, journal, index) => isSeen(line) && (journal[index + 1]?.kind ?? '') === 'event',
      (journal, index, line) => journal.splice(index, 2, journal[index + 1] ?? line, line),
    ),
  ),
  calm('a byte is altered on its way to a client', 'G4', (lines, random) => change(lines, random, isSeen, alter)),
  lossy('a byte is altered on its way to a client, in a run with a failover', 'G5', (lines, random) =>
    change(lines, random, isUnforgotten, alter),
  ),
  calm('two events change places in the log', 'G3', (lines, random) => {
    const index = pickIndex(random, lines.log, ({ session, store }, at) => {
      const next = lines.log[at + 1]
      return next?.session === session && next.store === store
    })
    const [first, second] = [lines.log[index], lines.log[index + 1]]
    if (first && second) lines.log.splice(index, 2, second, first)
    return second !== undefined
  }),
  calm('a byte is altered in Redis', 'G3', (lines, random) => {
    const inPostgres = new Set(lines.log.filter(({ store }) => store === 'postgres').map(keyOf))
    const index = pickIndex(random, lines.log, (line) => line.store === 'redis' && inPostgres.has(keyOf(line)))
    const victim = lines.log[index]
    if (victim) lines.log[index] = { ...victim, hash: victim.hash ^ 1 }
    return victim !== undefined
  }),
  calm('an event is replayed under a new id', 'G2', (lines, random) => {
    const replayed = ['task_executing', 'task_completed', 'stream_start', 'stream_end', 'tool_call_start']
    const victim = pick(random, lines.log, ({ type }) => replayed.includes(type))
    const last = lines.log.findLast(({ session }) => session === victim?.session)
    if (!victim || !last) return false
    const event = `${last.event.split('-')[0]}-${seqOf(last.event) + 1}`
    lines.log.splice(lines.log.lastIndexOf(last) + 1, 0, { ...victim, store: last.store, event })
    return true
  }),
  calm('an effect happens twice', 'G8', (lines, random) => {
    const victim = lines.effects.length > 0 ? random.pick(lines.effects) : undefined
    if (victim) lines.effects.push({ ...victim, at: victim.at + 1 })
    return victim !== undefined
  }),
  calm('the acceptances of two commands change places', 'G6', (lines, random) =>
    change(
      lines,
      random,
      (line, journal, index) => isAcceptedTask(line, journal) && isAcceptedTask(journal[index + 1], journal),
      (journal, index) => {
        const [first, second] = [journal[index] as Accepted, journal[index + 1] as Accepted]
        journal.splice(index, 2, { ...second, at: first.at }, { ...first, at: second.at })
      },
    ),
  ),
  calm('a command that ran was refused as busy', 'G6', (lines, random) =>
    change(lines, random, isOnlyAnswer, (journal, index, { client, at, command }: Accepted) =>
      journal.splice(index, 1, { kind: 'refused', client, at, command, code: 'busy' }),
    ),
  ),
  calm('a piece of text is dropped on its way to a client', 'G4', (lines, random) =>
    change(lines, random, isText, (journal, index) => journal.splice(index, 1)),
  ),
  calm('text that a client saw is taken back', 'G7', (lines, random) =>
    change(lines, random, isLastText, (journal, index, line) =>
      journal.splice(index, 1, { ...line, hash: line.hash ^ 1 }),
    ),
  ),
  calm('the model is asked once more without a reason', 'G7', (lines, random) => {
    const victim = lines.models.length > 0 ? random.pick(lines.models) : undefined
    if (victim) lines.models.push(victim)
    return victim !== undefined
  }),
  calm('a frozen worker starts an effect', 'G9', (lines, random) => {
    const fault = pick(random, lines.faults, ({ isolated }) => isolated === true)
    if (!fault?.node) return false
    const at = fault.began + random.integer(4_000, 19_000)
    lines.models.push({
      kind: 'model',
      command: 'of a zombie',
      step: 0,
      node: fault.node,
      began: at,
      ended: at,
      outcome: 'gone',
    })
    return true
  }),
  calm('a harmless command is set aside', 'G1', (lines, random) => {
    const victim = pick(random, lines.log, ({ type }) => type === 'task_completed')
    lines.log = lines.log.map((line) =>
      line.session === victim?.session && line.event === victim.event
        ? { ...line, type: 'task_failed', code: 'quarantined' }
        : line,
    )
    return victim !== undefined
  }),
  lossy('a client is not told that events were lost', 'G5', (lines, random) =>
    change(
      lines,
      random,
      (line, journal, index) => isReset(line) && sawMore(line, journal, index, lines.log),
      (journal, index) => journal.splice(index, 1),
    ),
  ),
]

type Apply = Mutation['apply']

function calm(name: string, expected: Guarantee, apply: Apply): Mutation {
  return { name, expected, losesWrites: false, apply }
}

function lossy(name: string, expected: Guarantee, apply: Apply): Mutation {
  const hasLost = ({ faults }: StoryLines): boolean => faults.some((fault) => fault.losesWrites)
  return { name, expected, losesWrites: true, apply: (lines, random) => hasLost(lines) && apply(lines, random) }
}

type Fits<L extends ClientLine> = (line: ClientLine, journal: readonly ClientLine[], index: number) => line is L

/** Changes one line of one client that fits. */
function change<L extends ClientLine>(
  lines: StoryLines,
  random: SeededRandom,
  fits: Fits<L> | ((line: ClientLine, journal: readonly ClientLine[], index: number) => boolean),
  spoil: (journal: ClientLine[], index: number, line: L) => unknown,
): boolean {
  const places = lines.clients.flatMap((journal) =>
    journal.flatMap((line, index) => (fits(line, journal, index) ? [{ journal, index }] : [])),
  )
  if (places.length === 0) return false
  const { journal, index } = random.pick(places)
  spoil(journal, index, journal[index] as L)
  return true
}

const isSeen = (line: ClientLine): line is Seen => line.kind === 'event'
const isText = (line: ClientLine): line is TextSeen => line.kind === 'text'
const isReset = (line: ClientLine): boolean => line.kind === 'subscribed' && line.reset
const isAccepted = (line: ClientLine | undefined): line is Accepted => line?.kind === 'accepted' && !line.duplicate

const isAcceptedTask = (line: ClientLine | undefined, journal: readonly ClientLine[]): boolean =>
  isAccepted(line) && journal.some((it) => it.kind === 'sent' && it.command === line.command && it.type === 'execute')

/** The client got this event after its last reset, so that nothing excuses it. */
const isUnforgotten = (line: ClientLine, journal: readonly ClientLine[], index: number): line is Seen =>
  isSeen(line) && !journal.slice(index).some(isReset)

/** The command was sent once and answered once. */
const isOnlyAnswer = (line: ClientLine, journal: readonly ClientLine[]): line is Accepted =>
  isAcceptedTask(line, journal) &&
  journal.filter((it) => it.kind === 'sent' && isAccepted(line) && it.command === line.command).length === 1

/** The last piece of a message: an earlier fingerprint is not compared with anything. */
const isLastText = (line: ClientLine, journal: readonly ClientLine[], index: number): line is TextSeen =>
  isText(line) && !journal.slice(index + 1).some((it) => isText(it) && it.message === line.message)

/** The client saw an event that the log does not hold, and is not reset again. */
function sawMore(reset: ClientLine, journal: readonly ClientLine[], index: number, log: readonly LogLine[]): boolean {
  const held = new Set(log.map(({ session, event, hash }) => `${session} ${event} ${hash}`))
  const before = journal.slice(0, index)
  const lastReset = before.findLastIndex(isReset)
  const lost = before.slice(lastReset + 1).some((it) => isSeen(it) && !held.has(`${it.session} ${it.event} ${it.hash}`))
  return reset.kind === 'subscribed' && lost && !journal.slice(index + 1).some(isReset)
}

const alter = (journal: ClientLine[], index: number, line: Seen): unknown =>
  journal.splice(index, 1, { ...line, hash: line.hash ^ 0x100 })

const keyOf = ({ session, event }: LogLine): string => `${session} ${event}`
const seqOf = (event: string): number => Number(event.split('-')[1])

function headOf(log: readonly LogLine[], session: string): string | undefined {
  return log
    .filter((line) => line.session === session)
    .reduce((head, line) => (seqOf(line.event) > seqOf(head.event) ? line : head)).event
}

function pickIndex<T>(random: SeededRandom, items: readonly T[], fits: (item: T, index: number) => boolean): number {
  const indexes = items.flatMap((item, index) => (fits(item, index) ? [index] : []))
  return indexes.length === 0 ? -1 : random.pick(indexes)
}

function pick<T>(random: SeededRandom, items: readonly T[], fits: (item: T) => boolean): T | undefined {
  return items[pickIndex(random, items, fits)]
}
