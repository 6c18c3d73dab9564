/**
 * Conversations with facts in them and questions about the facts, made from a seed after the manner of LongMemEval: 1,000
 * facts in 500 sessions, a fifth of them changed later, between talk about other things, answers that repeat the words, and
 * the same said of other people. Half of the questions use other words than their evidence throughout.
 */
import { ANSWERS, ATTRIBUTES, CHATTER, CLOSERS, ECHOES, OPENERS, OTHERS, THINGS } from './words.js'

const SESSIONS = 500
const FACTS_PER_SESSION = 2
const UPDATED_SHARE = 0.2
const OTHERS_SHARE = 0.5
/** Turns of a session that are about nothing. */
const CHATTER_TURNS = 3
const SESSION_MS = 86_400_000
const TURN_MS = 60_000

export interface DatasetTurn {
  readonly id: string
  readonly session: number
  readonly at: Date
  readonly text: string
}

export interface DatasetQuestion {
  readonly text: string
  /** The turn that answers it. */
  readonly evidence: string
  /** Whether it shares a content word with its evidence. */
  readonly shares: boolean
  readonly updated: boolean
}

export interface Dataset {
  readonly turns: readonly DatasetTurn[]
  readonly questions: readonly DatasetQuestion[]
}

interface Random {
  next(): number
  pick<T>(items: readonly T[]): T
}

interface Fact {
  readonly thing: readonly [string, string]
  readonly attribute: (typeof ATTRIBUTES)[number]
  readonly value: string
}

export function makeDataset(seed: number, start: Date): Dataset {
  const random = randomOf(seed)
  const facts = chooseFacts(random)
  const sessions = Array.from({ length: SESSIONS }, (): Spoken[] => [])
  const evidence = new Map<Fact, Spoken>()
  const updated = new Set<Fact>()
  facts.forEach((fact, index) => {
    const session = Math.floor(index / FACTS_PER_SESSION)
    evidence.set(fact, say(random, sessions, session, fact, fact.value))
    if (session < SESSIONS - 1 && random.next() < UPDATED_SHARE) {
      const later = session + 1 + Math.floor(random.next() * (SESSIONS - session - 1))
      const value = random.pick(fact.attribute.values.filter((other) => other !== fact.value))
      evidence.set(fact, say(random, sessions, later, fact, value))
      updated.add(fact)
    }
    if (random.next() < OTHERS_SHARE) sayOfOthers(random, sessions, fact)
  })
  for (const session of sessions) chatter(random, session)
  const turns = sessions.flatMap((session, at) => numbered(shuffled(random, session), at, start))
  const idOf = new Map(turns.map((turn) => [turn.spoken, turn.id]))
  const order = shuffled(random, facts)
  const questions = order.map((fact, index): DatasetQuestion => {
    const shares = index % 2 === 0
    const said = evidence.get(fact)
    const text = shares ? fact.attribute.asks(fact.thing[0]) : fact.attribute.asksOtherwise(fact.thing[1])
    return { text, evidence: (said && idOf.get(said)) ?? '', shares, updated: updated.has(fact) }
  })
  return { turns: turns.map(({ spoken: _, ...turn }) => turn), questions }
}

interface Spoken {
  readonly user: string
  readonly assistant: string
}

function chooseFacts(random: Random): Fact[] {
  const all = THINGS.flatMap((thing) => ATTRIBUTES.map((attribute) => ({ thing, attribute })))
  const chosen = shuffled(random, all).slice(0, SESSIONS * FACTS_PER_SESSION)
  return chosen.map((pair) => ({ ...pair, value: random.pick(pair.attribute.values) }))
}

function say(random: Random, sessions: Spoken[][], session: number, { thing, attribute }: Fact, value: string): Spoken {
  const statement = attribute.says(thing[0], value)
  const spoken = {
    user: `${random.pick(OPENERS)} ${statement}. ${random.pick(CLOSERS)}`,
    assistant: random.next() < 0.5 ? random.pick(ECHOES)(thing[0]) : random.pick(ANSWERS),
  }
  sessions[session]?.push(spoken)
  return spoken
}

function sayOfOthers(random: Random, sessions: Spoken[][], { thing, attribute }: Fact): void {
  const value = random.pick(attribute.values)
  const statement = attribute.saysOfOthers(random.pick(OTHERS), thing[0], value)
  random.pick(sessions).push({
    user: `${random.pick(OPENERS)} ${statement}. ${random.pick(CLOSERS)}`,
    assistant: random.pick(ANSWERS),
  })
}

function chatter(random: Random, session: Spoken[]): void {
  for (let turn = 0; turn < CHATTER_TURNS; turn++) {
    session.push({ user: random.pick(CHATTER), assistant: random.pick(ANSWERS) })
  }
}

function numbered(session: readonly Spoken[], number: number, start: Date) {
  return session.flatMap((spoken, index) => {
    const at = (turn: number) => new Date(start.getTime() + number * SESSION_MS + turn * TURN_MS)
    const turn = (place: number, text: string, said: Spoken | undefined) => ({
      ...{ id: `s${number}-t${place}`, session: number, at: at(place), text, spoken: said },
    })
    return [turn(2 * index, spoken.user, spoken), turn(2 * index + 1, spoken.assistant, undefined)]
  })
}

function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const copy = [...items]
  for (let at = copy.length - 1; at > 0; at--) {
    const other = Math.floor(random.next() * (at + 1))
    const [a, b] = [copy[at] as T, copy[other] as T]
    copy[at] = b
    copy[other] = a
  }
  return copy
}

/** mulberry32: small, and the same on every machine. */
function randomOf(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let value = Math.imul(state ^ (state >>> 15), state | 1)
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61)
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32
  }
  return { next, pick: (items) => items[Math.floor(next() * items.length)] as never }
}
