/**
 * A TCP proxy that cuts connections: each after a random number of bytes to the client, or all of them at a word.
 */
import { type AddressInfo, createServer, connect as open, type Server, type Socket } from 'node:net'
import type { SeededRandom } from '../../support/random.js'

export class CuttingProxy {
  cuts = 0
  /** While true, connections are cut; afterwards they live. */
  cutting = true
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  constructor(
    private readonly target: number,
    private readonly random: SeededRandom,
    private readonly maxBytes: number,
  ) {
    this.#server = createServer((client) => this.#pass(client))
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `ws://127.0.0.1:${this.port}`
  }

  /** The port that clients use instead of the target's. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async stop(): Promise<void> {
    this.cutAll()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #pass(client: Socket): void {
    const server = open(this.target, '127.0.0.1')
    let left = this.random.integer(300, this.maxBytes)
    for (const [socket, other] of [[client, server] as const, [server, client] as const]) {
      this.#sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
    }
    client.on('data', (data) => server.write(data))
    server.on('data', (data) => {
      client.write(data.subarray(0, this.cutting ? left : data.length))
      left -= data.length
      if (left > 0 || !this.cutting) return
      this.cuts += 1
      client.end()
      server.destroy()
    })
  }
}
