/**
 * Random correct histories: a tiny service of a few sessions, with clients that come and go, owners that die, a Redis that
 * fails over and forgets, duplicates and floods. What it tells is right by construction.
 */
import type { SeededRandom } from '../random.js'
import { Story, type StoryClient, type StorySession } from './story.js'

export interface RandomStoryOptions {
  readonly sessions: number
  readonly steps: number
  /** Whether a failover of Redis may take back the last events. */
  readonly losesWrites: boolean
}

/** What a running task does next. */
type Move = 'message' | 'text' | 'message end' | 'tool' | 'tool end' | 'end'

interface Task {
  readonly command: string
  readonly moves: readonly Move[]
  /** Moves made; -1 before the task begins. */
  made: number
  step: number
  text: string
  call: string
}

/** Everything of a session that a failover can take back. */
interface Memory {
  readonly events: StorySession['events']
  readonly task: Task | undefined
  readonly effects: number
}

interface Life {
  readonly session: StorySession
  readonly watchers: StoryClient[]
  /** All that were accepted, in order. */
  readonly accepted: Task[]
  inbox: Task[]
  task: Task | undefined
  node: number
  effects: number
  past: Memory[]
}

const MOVES: readonly (readonly Move[])[] = [
  ['end'],
  ['message', 'text', 'text', 'message end', 'end'],
  ['message', 'text', 'message end', 'tool', 'tool end', 'message', 'text', 'message end', 'end'],
]
const FROZEN_MS = 20_000
/** What a failover may take back at most. */
const MEMORY = 4

export class RandomStory {
  readonly story = new Story()
  readonly #lives: Life[] = []
  #commands = 0

  constructor(
    private readonly random: SeededRandom,
    private readonly options: RandomStoryOptions,
  ) {
    for (let index = 0; index < options.sessions; index++) this.#spawn()
    for (let step = 0; step < options.steps; step++) this.#step(random.pick(this.#lives))
    this.#finish()
  }

  #spawn(): void {
    const { story } = this
    const [session, client] = [story.session(), story.client()]
    const task = this.#task()
    const empty = { accepted: [], inbox: [], task: undefined, node: 1, effects: 0, past: [] }
    const life: Life = { session, watchers: [client], ...empty }
    this.#lives.push(life)
    client.send(task.command, 'spawn')
    client.accepted(task.command, session)
    this.#append(life, () => session.append('session_spawned', { command: task.command }))
    this.#enqueue(life, task)
    // Before this there is no session to go back to.
    life.past = []
  }

  #step(life: Life): void {
    const chance = this.random.next()
    if (chance < 0.25) this.#ask(life)
    else if (chance < 0.8) this.#work(life)
    else if (chance < 0.88) this.#comeAndGo(life)
    else if (chance < 0.92) this.#join(life)
    else if (chance < 0.96) this.#takeOver(life)
    else if (this.options.losesWrites) this.#failOver(life)
  }

  #ask(life: Life): void {
    const { session } = life
    const client = this.random.pick(life.watchers)
    if (!client.connected) return
    if (this.random.next() < 0.1) this.#control(life, client)
    const tasks = [this.#task(), this.#task()]
    for (const { command } of tasks) client.send(command, 'execute', session)
    for (const task of tasks) {
      if (this.random.next() < 0.1) client.refused(task.command)
      else {
        client.accepted(task.command, session)
        this.#enqueue(life, task)
        if (this.random.next() < 0.1) {
          client.send(task.command, 'execute', session)
          client.accepted(task.command, session, true)
        }
      }
    }
  }

  #enqueue(life: Life, task: Task): void {
    life.accepted.push(task)
    life.inbox.push({ ...task })
  }

  #control(life: Life, client: StoryClient): void {
    this.#commands += 1
    const command = `cmd-${this.#commands}`
    client.send(command, 'pause', life.session)
    client.accepted(command, life.session)
    // Not in the inbox, from which a failover that takes it back would run it again: it is never taken back.
    this.#append(life, () => life.session.append('session_status_update', { command, status: 'paused' }))
    life.past = []
  }

  #work(life: Life): void {
    const { session } = life
    life.task ??= life.inbox.shift()
    const { task } = life
    if (!task) return
    const { command } = task
    const move = task.moves[task.made]
    if (move === undefined) this.#append(life, () => session.append('task_executing', { command }))
    else if (move === 'text') this.#stream(life, task)
    else if (move === 'end') this.#append(life, () => session.append('task_completed', { command }))
    else this.#record(life, task, move)
    task.made += 1
    if (move === 'end') life.task = undefined
  }

  #record(life: Life, task: Task, move: Move): void {
    const { session } = life
    const { command } = task
    const message = `${command}-m${task.step}`
    if (move === 'message') {
      task.text = ''
      this.#append(life, () => session.append('stream_start', { command, message }))
    } else if (move === 'message end') {
      this.#call(life, task, 'complete')
      this.#append(life, () => session.append('stream_end', { command, message }, task.text))
      task.step += 1
    } else if (move === 'tool') {
      task.call = `x${task.step}`
      this.#append(life, () => session.append('tool_call_start', { command, call: task.call, effect: 'once' }))
      this.story.effect(command, task.call, 'once', nodeOf(life))
      life.effects += 1
    } else this.#append(life, () => session.append('tool_call_result', { command, call: task.call }))
  }

  #stream(life: Life, task: Task): void {
    task.text += this.random.pick(['Grüße ', 'and ', '世界 ', 'x'])
    const message = `${task.command}-m${task.step}`
    for (const client of this.#present(life)) client.seeText(life.session, message, task.text)
  }

  #call(life: Life, { command, step }: Task, outcome: 'complete' | 'gone'): void {
    this.story.model(command, step, outcome, nodeOf(life))
  }

  #append(life: Life, append: () => ReturnType<StorySession['append']>): void {
    const { session, task, effects } = life
    life.past.push({ events: [...session.events], task: task && { ...task }, effects })
    if (life.past.length > MEMORY) life.past.shift()
    const event = append()
    for (const client of this.#present(life)) client.see(session, event)
  }

  /** Watchers that are connected have seen everything. */
  #present(life: Life): StoryClient[] {
    return life.watchers.filter(({ connected }) => connected)
  }

  #comeAndGo(life: Life): void {
    const client = this.random.pick(life.watchers)
    if (client.connected) client.disconnect()
    else this.#comeBack(life, client)
  }

  #comeBack(life: Life, client: StoryClient): void {
    const { session } = life
    client.connect(`edge-${this.random.integer(1, 3)}`)
    client.resume(session)
    client.catchUp(session)
    this.#showPart(life, client)
  }

  #showPart({ session, task }: Life, client: StoryClient): void {
    if (task && isStreaming(task)) client.seeText(session, `${task.command}-m${task.step}`, task.text)
  }

  /** Somebody else attaches, from now on. */
  #join(life: Life): void {
    const client = this.story.client()
    client.place(life.session).seq = life.session.events.length
    client.resume(life.session)
    this.#showPart(life, client)
    life.watchers.push(client)
  }

  #takeOver(life: Life): void {
    const { session, task } = life
    const from = nodeOf(life)
    this.#loseWorker(from)
    if (task && isStreaming(task)) this.#call(life, task, 'gone')
    life.node += 1
    session.epoch += 1
    if (!task || task.made < 0) return
    const who = { from, to: nodeOf(life), attempt: 1 }
    this.#append(life, () => session.append('session_takeover', { command: task.command, ...who }))
  }

  #loseWorker(node: string): void {
    const began = this.story.tick()
    if (this.random.next() < 0.5) this.story.fault({ test: 'T1', fault: 'worker-kill', node, began, healed: began })
    else
      this.story.fault({ test: 'T4', fault: 'worker-freeze', node, began, healed: began + FROZEN_MS, isolated: true })
  }

  /** Redis forgets the last events of a session; clients that saw them are told to start over. */
  #failOver(life: Life): void {
    const { session } = life
    const past = life.past.length > 0 ? this.random.pick(life.past) : undefined
    if (past?.effects !== life.effects) return
    const began = this.story.tick()
    if (life.task && isStreaming(life.task)) this.#call(life, life.task, 'gone')
    this.story.fault({ test: 'T6', fault: 'redis-failover', began, healed: this.story.tick(), losesWrites: true })
    session.events = [...past.events]
    session.epoch += 1
    // Edges submit what was accepted lately once more, so that nothing accepted is lost.
    const begun = new Set(
      past.events.filter(({ type }) => type === 'task_executing').map(({ details }) => details.command),
    )
    const waiting = life.accepted.filter(({ command }) => !begun.has(command) && command !== past.task?.command)
    life.inbox = waiting.map((task) => ({ ...task }))
    life.task = past.task && { ...past.task, text: '' }
    life.past = [{ ...past, events: [...past.events] }]
    for (const client of life.watchers) {
      if (!client.connected) client.connect('edge-1')
      client.reset(session)
    }
  }

  #finish(): void {
    for (const life of this.#lives) {
      while (life.task || life.inbox.length > 0) this.#work(life)
      for (const client of life.watchers) {
        if (!client.connected) this.#comeBack(life, client)
        client.close()
      }
      const { session } = life
      session.projected = this.random.integer(0, session.events.length)
      session.floor = this.random.integer(0, session.projected)
    }
  }

  #task(): Task {
    this.#commands += 1
    const command = `cmd-${this.#commands}`
    return { command, moves: this.random.pick(MOVES), made: -1, step: 0, text: '', call: '' }
  }
}

const nodeOf = ({ session, node }: Life): string => `worker-${node} of ${session.id}`

const isStreaming = ({ moves, made }: Task): boolean => {
  const last = moves.slice(0, Math.max(0, made)).findLast((move) => move !== 'text')
  return last === 'message'
}
