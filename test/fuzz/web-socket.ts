/**
 * The raw WebSocket door: batches of messages over real connections, each followed by a ping that must be answered, unless
 * the connection was ended. What is refused is refused in the words of the table.
 */
import type WebSocket from 'ws'
import type { SeededRandom } from '../support/random.js'
import type { EdgeUnderFire } from './edge-under-fire.js'
import type { Finding, Target } from './finding.js'
import { Inputs } from './inputs.js'
import { inLanes } from './lanes.js'
import { SocketLane } from './socket-lane.js'

const LANES = 8
const BATCH = 100

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

class WebSocketLane extends SocketLane {
  #marks = 0

  constructor(
    url: string,
    private readonly inputs: Inputs,
  ) {
    super(url)
  }

  protected async throwAll(count: number): Promise<void> {
    const socket = await this.open()
    for (let n = 0; n < count; n++) this.send(socket, this.inputs.frame())
    this.#marks += 1
    await this.ask(socket, JSON.stringify({ type: 'ping', requestId: `mark-${this.#marks}` }))
  }

  protected async welcomed(socket: WebSocket): Promise<void> {
    socket.on('message', (data) => this.#heard(String(data)))
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve)
      socket.once('error', reject)
    })
  }

  #heard(text: string): void {
    const message = parsed(text)
    if (message.requestId === `mark-${this.#marks}` && message.type === 'pong') this.settle()
    if (message.type === 'error') this.refused(message, text)
  }
}

function parsed(text: string): Message {
  try {
    return JSON.parse(text) as Message
  } catch {
    return { type: 'error', code: 'no JSON' }
  }
}
