/**
 * The model's process: answers every chat completion with pieces of text at a fixed pace, for as long as anybody listens.
 * It does as little as can be for a piece, because it shares the machine with what is measured.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PIECES_PER_SECOND, pieceAt } from './piece.js'

const PERIOD_MS = 1_000 / PIECES_PER_SECOND
/** Sessions stream independently of each other: their pieces are spread over the period, whenever they began. */
const PHASES = PERIOD_MS
const TICK_MS = 1

const [HEAD, TAIL] = JSON.stringify({
  id: 'chatcmpl-load',
  object: 'chat.completion.chunk',
  created: 0,
  model: 'load',
  choices: [{ index: 0, delta: { content: '<text>' }, finish_reason: null }],
}).split('<text>')

class PacedStreams {
  readonly #phases = Array.from({ length: PHASES }, () => new Set<ServerResponse>())
  #opened = 0
  #next = Math.floor(performance.now())

  start(): void {
    setInterval(() => this.#tick(), TICK_MS)
  }

  add(response: ServerResponse): void {
    const phase = this.#phases[this.#opened++ % PHASES]
    phase?.add(response)
    response.once('close', () => phase?.delete(response))
  }

  /** Writes what is due. One that comes late says so in no piece: its time is that of its writing. */
  #tick(): void {
    const now = performance.now()
    for (; this.#next <= now; this.#next++) {
      for (const response of this.#phases[this.#next % PHASES] ?? []) {
        response.write(`data: ${HEAD}${pieceAt(performance.now())}${TAIL}\n\n`)
      }
    }
  }
}

const streams = new PacedStreams()
const server = createServer((request: IncomingMessage, response: ServerResponse) => {
  request.resume()
  request.once('end', () => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    streams.add(response)
  })
})
process.once('disconnect', () => process.exit(1))
server.listen(0, '127.0.0.1', () => {
  streams.start()
  process.send?.({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1` })
})
