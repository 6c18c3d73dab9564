/**
 * The Socket.IO door: packets of Engine.IO and Socket.IO around messages, whole and broken, over real connections. A packet
 * that the protocol forbids ends its connection; as long as that stands, an acknowledgement comes.
 */
import type WebSocket from 'ws'
import type { SeededRandom } from '../support/random.js'
import type { EdgeUnderFire } from './edge-under-fire.js'
import type { Finding, Target } from './finding.js'
import { Inputs, nested } from './inputs.js'
import { inLanes } from './lanes.js'
import type { faultOf } from './refusals.js'
import { SocketLane } from './socket-lane.js'

const LANES = 8
const BATCH = 50
const ANSWER_MS = 10_000
const TYPES = ['ping', 'spawn_session', 'execute_task', 'list_sessions', 'subscribe', 'error', 'connect', 'x', '']
const DEPTHS = [10, 6_000, 20_000]

export class SocketIoTarget implements Target {
  readonly name = 'Socket.IO'

  constructor(
    private readonly random: SeededRandom,
    private readonly edge: EdgeUnderFire,
  ) {}

  async run(inputs: number, onInput: (count: number) => void): Promise<readonly Finding[]> {
    const url = `ws://127.0.0.1:${this.edge.port}/socket.io/?EIO=4&transport=websocket`
    const token = await this.edge.token()
    const packets = new Packets(this.random)
    const lanes = Array.from({ length: LANES }, () => new SocketIoLane(url, token, packets))
    return await inLanes(lanes, inputs, BATCH, onInput)
  }
}

class Packets {
  readonly #random: SeededRandom
  readonly #inputs: Inputs

  constructor(random: SeededRandom) {
    this.#random = random
    this.#inputs = new Inputs(random)
  }

  next(): string | Buffer {
    const kind = this.#random.integer(0, 59)
    if (kind === 0) return this.#inputs.garbage()
    if (kind === 1) return this.#inputs.garbage().toString('utf8')
    if (kind === 2)
      return this.#random.pick(['0', '1', '2', '5', '6', '40{}', '41', '44{"message":"x"}', '42', '4', '43[]'])
    if (kind === 3)
      return `45${this.#random.integer(0, 3)}-["ping",{"_placeholder":true,"num":${this.#random.integer(-1, 9)}}]`
    if (kind === 4) return this.#inputs.changed(this.#event())
    return this.#event()
  }

  #event(): string {
    const id = this.#random.integer(0, 3) === 0 ? String(this.#random.integer(1, 1e6)) : ''
    return `42${id}[${[this.#type(), ...this.#arguments()].join(',')}]`
  }

  #type(): string {
    return this.#random.integer(0, 9) === 0 ? this.#word() : JSON.stringify(this.#random.pick(TYPES))
  }

  #arguments(): string[] {
    return Array.from({ length: this.#random.integer(0, 3) }, () => this.#word())
  }

  /** JSON, nearly always: what is none is for the packets above. */
  #word(): string {
    const kind = this.#random.integer(0, 9)
    if (kind === 0) return nested(this.#random, this.#random.pick(DEPTHS))
    if (kind < 4)
      return this.#random.pick(['null', '1', '""', '[]', '{"toJSON":1}', '{"__proto__":{"type":"ping"}}', '-1e9'])
    const message = JSON.parse(this.#inputs.message()) as unknown
    const isObject = typeof message === 'object' && message !== null
    return JSON.stringify(isObject && 'payload' in message ? message.payload : message)
  }
}

class SocketIoLane extends SocketLane {
  #acks = 1e7

  constructor(
    url: string,
    private readonly token: string,
    private readonly packets: Packets,
  ) {
    super(url)
  }

  protected async throwAll(count: number): Promise<void> {
    for (let n = 0; n < count; n++) {
      const socket = await this.open()
      this.send(socket, this.packets.next())
      // A connection that a packet has ended must not swallow the rest of the batch unseen.
      if (n % 10 !== 9) continue
      this.#acks += 1
      await this.ask(socket, `42${this.#acks}["ping"]`)
    }
  }

  protected async welcomed(socket: WebSocket): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error('a Socket.IO handshake without an answer')), ANSWER_MS)
      socket.on('error', reject)
      socket.on('close', () => reject(new Error('a Socket.IO handshake was refused')))
      socket.on('message', (data) => {
        const text = String(data)
        if (text.startsWith('0')) socket.send(`40${JSON.stringify({ token: this.token })}`)
        else if (text === '2') socket.send('3')
        else if (text.startsWith('40')) {
          clearTimeout(late)
          resolve()
        } else this.#heard(text)
      })
    })
  }

  #heard(text: string): void {
    if (text.startsWith(`43${this.#acks}[`)) this.settle()
    // By the server's own word the connection, or the client's place on it, is over.
    if (text === '41' || text.startsWith('44')) this.close()
    if (!text.startsWith('42["error",')) return
    const [, message] = JSON.parse(text.slice(2)) as [string, Parameters<typeof faultOf>[0]]
    this.refused(message, text)
  }
}
