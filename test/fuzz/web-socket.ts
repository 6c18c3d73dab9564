/**
 * The raw WebSocket door: batches of messages over real connections, each followed by a ping that must be answered, unless
 * the connection was ended. What is refused is refused in the words of the table.
 */
import WebSocket from 'ws'
import type { SeededRandom } from '../support/random.js'
import type { EdgeUnderFire } from './edge-under-fire.js'
import { type Finding, shown, type Target } from './finding.js'
import { Inputs } from './inputs.js'
import { inLanes, type Lane, suspects } from './lanes.js'
import { faultOf } from './refusals.js'

const LANES = 8
const BATCH = 100
const ANSWER_MS = 10_000

export class WebSocketTarget implements Target {
  readonly name = 'WebSocket'

  constructor(
    private readonly random: SeededRandom,
    private readonly edge: EdgeUnderFire,
  ) {}

  async run(inputs: number, onInput: (count: number) => void): Promise<readonly Finding[]> {
    const token = await this.edge.token()
    const url = `ws://127.0.0.1:${this.edge.port}/?token=${token}`
    const generator = new Inputs(this.random)
    const lanes = Array.from({ length: LANES }, () => new WebSocketLane(url, generator))
    return await inLanes(lanes, inputs, BATCH, onInput)
  }
}

interface Message {
  readonly type?: unknown
  readonly requestId?: unknown
  readonly error?: unknown
  readonly code?: unknown
  readonly retryable?: unknown
}

class WebSocketLane implements Lane {
  #socket: WebSocket | undefined
  #marks = 0
  #faults: Finding[] = []
  #sent: string[] = []
  #settle: (() => void) | undefined

  constructor(
    private readonly url: string,
    private readonly inputs: Inputs,
  ) {}

  async throwBatch(count: number): Promise<readonly Finding[]> {
    this.#faults = []
    this.#sent = []
    const socket = await this.#open()
    for (let n = 0; n < count; n++) {
      const input = this.inputs.frame()
      this.#sent.push(shown(input))
      socket.send(input)
    }
    await this.#answered(socket)
    return this.#faults
  }

  close(): void {
    this.#socket?.terminate()
  }

  async #open(): Promise<WebSocket> {
    if (this.#socket?.readyState === WebSocket.OPEN) return this.#socket
    const socket = new WebSocket(this.url, { perMessageDeflate: false })
    this.#socket = socket
    socket.on('message', (data) => this.#heard(String(data)))
    socket.on('close', () => this.#settle?.())
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve)
      socket.once('error', reject)
    })
    // What ends it later is told by its close.
    socket.on('error', () => undefined)
    return socket
  }

  async #answered(socket: WebSocket): Promise<void> {
    this.#marks += 1
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), ANSWER_MS)
    })
    const settled = new Promise<void>((resolve) => (this.#settle = resolve))
    socket.send(JSON.stringify({ type: 'ping', requestId: `mark-${this.#marks}` }))
    const isLate = socket.readyState === WebSocket.OPEN && (await Promise.race([settled, late])) === 'late'
    clearTimeout(timer)
    this.#settle = undefined
    if (!isLate) return
    this.#faults.push({ what: 'a ping without an answer', input: suspects(this.#sent) })
    socket.terminate()
  }

  #heard(text: string): void {
    const message = parsed(text)
    if (message.requestId === `mark-${this.#marks}` && message.type === 'pong') this.#settle?.()
    const what = message.type === 'error' ? faultOf(message) : undefined
    if (what !== undefined) this.#faults.push({ what: `${what}: ${text.slice(0, 200)}`, input: suspects(this.#sent) })
  }
}

function parsed(text: string): Message {
  try {
    return JSON.parse(text) as Message
  } catch {
    return { type: 'error', code: 'no JSON' }
  }
}
