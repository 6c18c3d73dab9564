/**
 * Histories of a run that never took place: sessions, clients, models and tools write their journals as the real ones do.
 * Tests tell a story in these words, and then what should be wrong with it.
 */
import { fingerprint } from '../../../src/chaos/fingerprint.js'
import type {
  ClientLine,
  CommandType,
  EffectLine,
  FaultLine,
  History,
  LogLine,
  ModelLine,
  RunLine,
} from '../../../src/chaos/journal.js'
import type { LoggedEventType } from '../../../src/protocol/events.js'

export type Details = Partial<Omit<LogLine, 'kind' | 'store' | 'session' | 'event' | 'type' | 'hash'>>

/** An event as the log holds it. `text` is that of a message that ends here. */
export interface StoryEvent {
  readonly epoch: number
  readonly seq: number
  readonly type: LoggedEventType
  readonly hash: number
  readonly details: Details
  /** Text of the message that ends here. */
  readonly text: string
}

export const idOf = ({ epoch, seq }: Pick<StoryEvent, 'epoch' | 'seq'>): string => `${epoch}-${seq}`

export class StorySession {
  epoch = 1
  events: StoryEvent[] = []
  /** Events that only Postgres holds, and events that it holds. */
  floor = 0
  projected = Number.POSITIVE_INFINITY

  constructor(readonly id: string) {}

  append(type: LoggedEventType, details: Details = {}, text = ''): StoryEvent {
    const seq = this.events.length + 1
    const hash = fingerprint(JSON.stringify({ id: this.id, epoch: this.epoch, seq, type, details, text }))
    const ended = type === 'stream_end' ? { bytes: Buffer.byteLength(text), text: fingerprint(text) } : {}
    const event = { epoch: this.epoch, seq, type, hash, details: { ...details, ...ended }, text }
    this.events.push(event)
    return event
  }

  lines(store: LogLine['store']): LogLine[] {
    const held = store === 'redis' ? this.events.slice(this.floor) : this.events.slice(0, this.projected)
    return held.map(({ type, hash, details, ...id }) => ({
      kind: 'log',
      store,
      session: this.id,
      event: idOf(id),
      type,
      hash,
      ...details,
    }))
  }
}

interface StoryPlace {
  seq: number
  message: string
  text: string
}

export class StoryClient {
  readonly lines: ClientLine[] = []
  readonly places = new Map<string, StoryPlace>()
  connected = true

  constructor(
    readonly name: string,
    private readonly story: Story,
  ) {
    this.connect('edge-1')
  }

  connect(edge: string): void {
    this.connected = true
    this.lines.push({ kind: 'connected', ...this.#base(), edge })
  }

  disconnect(): void {
    this.connected = false
    this.lines.push({ kind: 'disconnected', ...this.#base() })
  }

  send(command: string, type: CommandType, session?: StorySession): void {
    const target = session === undefined ? {} : { session: session.id }
    this.lines.push({ kind: 'sent', ...this.#base(), command, type, ...target })
  }

  accepted(command: string, session: StorySession, duplicate = false): void {
    this.lines.push({ kind: 'accepted', ...this.#base(), command, session: session.id, duplicate })
  }

  refused(command: string, code = 'busy'): void {
    this.lines.push({ kind: 'refused', ...this.#base(), command, code })
  }

  /** Sees an event and, before the end of a message, what it has not got of its text. */
  see(session: StorySession, event: StoryEvent): void {
    if (event.type === 'stream_end') this.seeText(session, event.details.message ?? '', event.text)
    this.place(session).seq = event.seq
    const { type, hash } = event
    this.lines.push({ kind: 'event', ...this.#base(), session: session.id, event: idOf(event), type, hash })
  }

  /** Sees what it has not seen of a message that is `text` by now. */
  seeText(session: StorySession, message: string, text: string): void {
    const place = this.place(session)
    const have = place.message === message ? place.text : ''
    const rest = text.slice(have.length)
    if (rest === '') return
    place.message = message
    place.text = text
    const [offset, bytes] = [Buffer.byteLength(have), Buffer.byteLength(rest)]
    const hash = fingerprint(text)
    this.lines.push({ kind: 'text', ...this.#base(), session: session.id, message, offset, bytes, hash })
  }

  /** Sees all that is in the log and that it has not seen. */
  catchUp(session: StorySession): void {
    for (const event of session.events.slice(this.place(session).seq)) this.see(session, event)
  }

  /** Comes back to a session where it left it. */
  resume(session: StorySession): void {
    const { seq } = this.place(session)
    const event = session.events[seq - 1]
    this.#subscribed(session, event ? idOf(event) : '0-0', false)
  }

  /** Is told to forget what it has, and starts from the head. */
  reset(session: StorySession): void {
    const last = session.events.at(-1)
    this.places.set(session.id, { seq: session.events.length, message: '', text: '' })
    this.#subscribed(session, last ? idOf(last) : '0-0', true)
  }

  close(complete = true): void {
    this.lines.push({ kind: 'closed', ...this.#base(), complete })
  }

  place(session: StorySession): StoryPlace {
    const known = this.places.get(session.id)
    if (known) return known
    const place = { seq: 0, message: '', text: '' }
    this.places.set(session.id, place)
    return place
  }

  #subscribed(session: StorySession, event: string, reset: boolean): void {
    this.lines.push({ kind: 'subscribed', ...this.#base(), session: session.id, event, reset })
  }

  #base() {
    return { client: this.name, at: this.story.tick() }
  }
}

/** A history with all its lines in memory, so that a test can change them. */
export interface StoryLines {
  run: RunLine
  faults: FaultLine[]
  log: LogLine[]
  clients: ClientLine[][]
  models: ModelLine[]
  effects: EffectLine[]
}

export const historyOf = ({ run, faults, log, clients, models, effects }: StoryLines): History => ({
  run,
  faults,
  log: [log],
  clients: clients.map((lines) => [lines]),
  models: [[models]],
  effects: [[effects]],
})

export class Story {
  at = 1_000
  readonly sessions: StorySession[] = []
  readonly clients: StoryClient[] = []
  readonly faults: FaultLine[] = []
  readonly models: ModelLine[] = []
  readonly effects: EffectLine[] = []

  tick(ms = 1): number {
    this.at += ms
    return this.at
  }

  session(id = `s${this.sessions.length + 1}`): StorySession {
    const session = new StorySession(id)
    this.sessions.push(session)
    return session
  }

  client(name = `c${this.clients.length + 1}`): StoryClient {
    const client = new StoryClient(name, this)
    this.clients.push(client)
    return client
  }

  fault(fault: Omit<FaultLine, 'kind' | 'id'>): FaultLine {
    const line: FaultLine = { kind: 'fault', id: `${fault.test}-${this.faults.length + 1}`, ...fault }
    this.faults.push(line)
    return line
  }

  model(command: string, step: number, outcome: ModelLine['outcome'] = 'complete', node?: string): void {
    const who = node === undefined ? {} : { node }
    this.models.push({ kind: 'model', command, step, ...who, began: this.tick(), ended: this.tick(), outcome })
  }

  effect(command: string, call: string, kind: EffectLine['class'] = 'once', node?: string): void {
    const who = node === undefined ? {} : { node }
    this.effects.push({ kind: 'effect', command, call, class: kind, hash: 1, ...who, at: this.tick() })
  }

  lines(): StoryLines {
    return {
      run: { kind: 'run', seed: 1, began: 1_000, loadEnded: this.at, ended: this.at + 1 },
      faults: [...this.faults],
      log: (['postgres', 'redis'] as const).flatMap((store) => this.sessions.flatMap((each) => each.lines(store))),
      clients: this.clients.map(({ lines }) => [...lines]),
      models: [...this.models],
      effects: [...this.effects],
    }
  }

  history(): History {
    return historyOf(this.lines())
  }
}
