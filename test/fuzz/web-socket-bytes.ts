/**
 * The bytes under the WebSocket door: frames that are not what the protocol says, after a handshake that is. Whatever they
 * do to their own connection, the next one is served.
 */
import { connect, type Socket } from 'node:net'
import type { SeededRandom } from '../support/random.js'
import type { EdgeUnderFire } from './edge-under-fire.js'
import { type Finding, shown, type Target } from './finding.js'
import { flipped, Inputs } from './inputs.js'
import { inLanes, type Lane, suspects } from './lanes.js'

const LANES = 16
/** Of one connection: a broken frame ends it, so the first ones count most. */
const BATCH = 12
const HANDSHAKE_MS = 10_000
const SETTLE_MS = 5
const OPCODES = [0, 1, 1, 2, 3, 7, 8, 9, 9, 10, 11, 15]

export class WebSocketBytesTarget implements Target {
  readonly name = 'WebSocket frames'

  constructor(
    private readonly random: SeededRandom,
    private readonly edge: EdgeUnderFire,
  ) {}

  async run(inputs: number, onInput: (count: number) => void): Promise<readonly Finding[]> {
    const { port } = this.edge
    const token = await this.edge.token()
    const generator = new Inputs(this.random)
    const lanes = Array.from({ length: LANES }, () => new BytesLane(port, token, this.random, generator))
    return await inLanes(lanes, inputs, BATCH, onInput)
  }
}

class BytesLane implements Lane {
  constructor(
    private readonly port: number,
    private readonly token: string,
    private readonly random: SeededRandom,
    private readonly inputs: Inputs,
  ) {}

  async throwBatch(count: number): Promise<readonly Finding[]> {
    const frames = Array.from({ length: count }, () => this.#frame())
    const socket = connect({ port: this.port, host: '127.0.0.1', noDelay: true })
    socket.on('error', () => undefined)
    const isOpen = await this.#upgraded(socket)
    if (isOpen) {
      for (const frame of frames) socket.write(frame)
      await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
    }
    socket.destroy()
    return isOpen ? [] : [{ what: 'a good handshake was not answered', input: suspects(frames.map(shown)) }]
  }

  close(): void {}

  #upgraded(socket: Socket): Promise<boolean> {
    const lines = [
      ...[`GET / HTTP/1.1`, `host: localhost`, `authorization: Bearer ${this.token}`, 'connection: Upgrade'],
      ...['upgrade: websocket', 'sec-websocket-version: 13', 'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==', '', ''],
    ]
    socket.write(lines.join('\r\n'))
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), HANDSHAKE_MS)
      const end = (isOpen: boolean): void => {
        clearTimeout(timer)
        resolve(isOpen)
      }
      socket.once('data', (data) => end(data.toString('latin1').startsWith('HTTP/1.1 101')))
      socket.once('close', () => end(false))
    })
  }

  /** A frame with a header drawn by chance: fragments without a beginning, control frames too long, lengths that lie. */
  #frame(): Buffer {
    const { random } = this
    if (random.integer(0, 9) === 0) return this.inputs.garbage()
    const body = Buffer.from(this.inputs.frame())
    const flags = random.integer(0, 5) === 0 ? random.integer(0, 15) << 4 : 0x80
    const isMasked = random.integer(0, 9) > 0
    const header = [flags | random.pick(OPCODES), ...lengthOf(random, body.length, isMasked)]
    const mask = isMasked ? Array.from({ length: 4 }, () => random.integer(0, 255)) : []
    const bytes = isMasked ? body.map((byte, index) => byte ^ (mask[index % 4] ?? 0)) : body
    const frame = Buffer.concat([Buffer.from([...header, ...mask]), bytes])
    return random.integer(0, 9) === 0 ? flipped(frame, random) : frame
  }
}

function lengthOf(random: SeededRandom, length: number, isMasked: boolean): number[] {
  const mask = isMasked ? 0x80 : 0
  const said = random.integer(0, 11) === 0 ? random.pick([0, length + 1, 65_536, 2 ** 31, 2 ** 40]) : length
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(said))
  if (said > 65_535) return [mask | 127, ...bytes]
  return said > 125 ? [mask | 126, ...bytes.subarray(6)] : [mask | said]
}
