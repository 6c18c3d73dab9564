/**
 * What the twenty sessions do, while they do it: a table redrawn in place on a terminal, elsewhere a line now and then.
 */
import { nodeName } from '../../src/protocol/ids.js'
import type { CountingSession } from './counting-session.js'
import { number, type Screen, seconds } from './screen.js'
import type { Kill } from './worker-kill.js'

const REDRAW_MS = 100
const LINE_MS = 3_000
const BAR_WIDTH = 16
/** Header, the line for what has no room, the footer and the prompt. */
const OTHER_ROWS = 5

export interface Scene {
  readonly sessions: readonly CountingSession[]
  /** Name of the worker that runs a session. */
  readonly workerOf: (session: CountingSession) => string
  /** Name of the edge at an address. */
  readonly edgeOf: (url: string) => string
}

export class Progress {
  readonly #startedAt = performance.now()
  readonly #timer: NodeJS.Timeout
  readonly #told = new Set<CountingSession>()
  #kill: Kill | undefined

  constructor(
    private readonly screen: Screen,
    private readonly scene: Scene,
  ) {
    const show = screen.isTerminal ? () => this.#redraw() : () => this.#tell()
    this.#timer = setInterval(show, screen.isTerminal ? REDRAW_MS : LINE_MS)
  }

  killed(kill: Kill): void {
    this.#kill = kill
    if (!this.screen.isTerminal) this.screen.line(this.#killLine(kill))
  }

  /** Shows the end. */
  stop(): void {
    clearInterval(this.#timer)
    if (this.screen.isTerminal) this.#redraw()
    else this.#tell()
    this.screen.endBlock()
  }

  #redraw(): void {
    const { sessions } = this.scene
    const room = Math.max(1, this.screen.rows - OTHER_ROWS)
    const hidden = sessions.length - room
    const lines = sessions.slice(0, room).map((session) => this.#row(session))
    const more = hidden > 0 ? [this.screen.colour.dim(`… and ${hidden} more`)] : []
    this.screen.redraw([this.#summary(), ...lines, ...more, this.#kill ? this.#killLine(this.#kill) : ''])
  }

  #tell(): void {
    for (const session of this.scene.sessions) {
      if (session.record.takeovers.length === 0 || this.#told.has(session)) continue
      this.#told.add(session)
      this.screen.line(`  session ${session.label}: ${takeoverText(session)}`)
    }
    this.screen.line(this.#summary())
  }

  #summary(): string {
    const { sessions } = this.scene
    const finished = sessions.filter((session) => session.finished).length
    const numbers = sessions.reduce((sum, session) => sum + session.counted, 0)
    const elapsed = seconds(performance.now() - this.#startedAt).padStart(7)
    return `${elapsed}  ${sessions.length - finished} streaming, ${finished} finished, ${number(numbers)} numbers`
  }

  #row(session: CountingSession): string {
    const { colour } = this.screen
    const { counted, count, label, url } = session
    const filled = Math.min(BAR_WIDTH, Math.round((counted / count) * BAR_WIDTH))
    const bar = colour.green('█'.repeat(filled)) + colour.dim('░'.repeat(BAR_WIDTH - filled))
    const where = `${this.scene.edgeOf(url)}  ${this.scene.workerOf(session)}`
    const numbers = `${counted}/${count}`.padStart(7)
    return `${label}  ${colour.dim(where)}  ${bar} ${numbers}  ${this.#state(session)}`
  }

  #state(session: CountingSession): string {
    const { colour } = this.screen
    if (session.record.faults.length > 0) return colour.red(session.record.faults[0] ?? '')
    if (session.record.takeovers.length > 0) return colour.magenta(takeoverText(session))
    if (this.#kill?.interrupted.includes(session)) return colour.red(`${this.#kill.name} is dead`)
    return session.finished ? colour.green('✓') : colour.cyan(session.lastWords)
  }

  #killLine({ name, pid, interrupted, atMs }: Kill): string {
    const when = seconds(atMs - this.#startedAt)
    const sessions = interrupted.length === 1 ? '1 session' : `${interrupted.length} sessions`
    return this.screen.colour.red(`kill -9 ${pid} after ${when}: ${name} is dead in the middle of ${sessions}`)
  }
}

function takeoverText({ record, finished }: CountingSession): string {
  const last = record.takeovers.at(-1)
  if (!last) return ''
  return `${finished ? '✓ ' : ''}${nodeName(last.worker)} took over after ${number(last.afterMs)} ms`
}
