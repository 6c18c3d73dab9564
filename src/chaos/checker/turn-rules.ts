/**
 * What the log says about the course of turns: a command begins once and ends once (G2), each of its steps is recorded
 * once (G2), and one turn runs at a time (G6).
 */
import type { CommandRecord } from './command-table.js'
import type { Findings, Guarantee } from './findings.js'
import type { LogEvent, SessionLog } from './session-log.js'

const ENDS: ReadonlySet<string> = new Set(['task_completed', 'task_failed', 'task_cancelled'])
const FINAL: ReadonlySet<string> = new Set(['completed', 'terminated', 'failed'])

export const isEnd = (event: LogEvent): boolean => ENDS.has(event.type)

/** What the rules about models and tools need to know of the logs. */
export interface StepFacts {
  /** Takeovers within a step, by `stepKey`; steps without any are missing. */
  readonly takeovers: Map<string, number>
  /** Workers that a command was taken over from, by command; commands without any are missing. */
  readonly formers: Map<string, Set<string>>
  /** Tool calls whose intent is recorded, by `callKey`. */
  readonly intents: Set<string>
  /** Sessions that have ended. */
  readonly finished: Set<string>
}

/** Steps count from 0: the tool rounds before this model call. */
export const stepKey = (command: string, step: number): string => `${command} ${step}`
export const callKey = (command: string, call: string): string => `${command} ${call}`

export const noSteps = (): StepFacts => ({
  takeovers: new Map(),
  formers: new Map(),
  intents: new Set(),
  finished: new Set(),
})

/** Walks one log and adds what it tells to `facts` and to its commands. */
export class TurnWalk {
  #running: CommandRecord | undefined
  #step = -1
  #openMessage: string | undefined
  readonly #openCalls = new Set<string>()
  readonly #messages = new Set<string>()

  constructor(
    private readonly session: SessionLog,
    private readonly facts: StepFacts,
    private readonly findings: Findings,
  ) {}

  run(): void {
    for (const event of this.session.events) if (event) this.#visit(event)
  }

  #visit(event: LogEvent): void {
    const { command } = event
    if (event.type === 'session_status_update') this.#update(event)
    if (!command) return
    this.#claim(event, command)
    if (event.type === 'task_executing') this.#begin(event, command)
    else if (isEnd(event)) this.#end(event, command)
    else if (event.type !== 'session_spawned' && event.type !== 'session_status_update') this.#checkStep(event, command)
  }

  /** A command belongs to one session. */
  #claim(event: LogEvent, command: CommandRecord): void {
    command.session ??= this.session
    if (command.session === this.session) return
    this.#broken('G2', event, `${command.id} runs here and in session ${command.session.id}`)
  }

  #update({ command, details }: LogEvent): void {
    if (command) command.updates += 1
    if (FINAL.has(details?.status ?? '')) this.facts.finished.add(this.session.id)
  }

  #begin(event: LogEvent, command: CommandRecord): void {
    command.begun += 1
    this.findings.checked('G2')
    if (command.begun > 1) this.#broken('G2', event, `${command.id} begins a second time`)
    else command.begunSeq = event.seq
    if (this.#running) this.#broken('G6', event, `${command.id} begins while ${this.#running.id} runs`)
    this.#running = command
    this.#step = -1
    this.#openMessage = undefined
    this.#openCalls.clear()
  }

  #end(event: LogEvent, command: CommandRecord): void {
    command.ends += 1
    if (command.ends > 1) this.#broken('G2', event, `${command.id} ends a second time`)
    else command.endSeq = event.seq
    if (event.details?.code === 'quarantined') command.quarantined = true
    if (this.#running === command) this.#running = undefined
  }

  #checkStep(event: LogEvent, command: CommandRecord): void {
    if (command === this.#running) this.#takeStep(event, command)
    else {
      const now = this.#running ? `${this.#running.id} runs` : 'nothing runs'
      this.#broken('G2', event, `a step of ${command.id} is recorded while ${now}`)
    }
  }

  #takeStep(event: LogEvent, command: CommandRecord): void {
    const { message = '', call = '' } = event.details ?? {}
    if (event.type === 'stream_start') this.#startMessage(event, message)
    else if (event.type === 'stream_end') this.#endMessage(event, message)
    else if (event.type === 'tool_call_start') this.#startCall(event, command, call)
    else if (event.type === 'tool_call_result') this.#endCall(event, call)
    else if (event.type === 'session_takeover') this.#takeOver(command, event.details?.from ?? '')
  }

  #startMessage(event: LogEvent, message: string): void {
    if (this.#messages.has(message)) this.#broken('G2', event, `message ${message} begins a second time`)
    this.#messages.add(message)
    this.#openMessage = message
    this.#step += 1
  }

  #endMessage(event: LogEvent, message: string): void {
    if (this.#openMessage !== message) this.#broken('G2', event, `message ${message} ends and is not open`)
    this.#openMessage = undefined
  }

  #startCall(event: LogEvent, command: CommandRecord, call: string): void {
    if (this.#openCalls.has(call)) this.#broken('G2', event, `tool call ${call} begins a second time`)
    this.#openCalls.add(call)
    this.facts.intents.add(callKey(command.id, call))
  }

  #endCall(event: LogEvent, call: string): void {
    if (!this.#openCalls.delete(call)) this.#broken('G2', event, `tool call ${call} ends and is not open`)
  }

  /** A model call is made while its message is open: a crash at another time repeats none. */
  #takeOver(command: CommandRecord, from: string): void {
    this.facts.formers.set(command.id, (this.facts.formers.get(command.id) ?? new Set()).add(from))
    if (this.#openMessage === undefined) return
    const key = stepKey(command.id, this.#step)
    this.facts.takeovers.set(key, (this.facts.takeovers.get(key) ?? 0) + 1)
  }

  #broken(guarantee: Guarantee, event: LogEvent, what: string): void {
    this.findings.violated(guarantee, `session ${this.session.id}: ${what}`, () => this.session.around(event.seq))
  }
}
