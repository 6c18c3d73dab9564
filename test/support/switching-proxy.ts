/**
 * A TCP proxy whose target changes: connections to the former one end, as when a service name moves to another server.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export class SwitchingProxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #target: number | undefined

  /** `target` is a port of this machine; without one nobody gets through. */
  constructor(target: number | undefined) {
    this.#target = target
    this.#server = createServer((client) => this.#pass(client))
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
  }

  /** Ends all connections; new ones go to another port, or nowhere. */
  pointTo(target: number | undefined): void {
    this.#target = target
    for (const socket of this.#sockets) socket.destroy()
  }

  async stop(): Promise<void> {
    this.pointTo(undefined)
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #pass(client: Socket): void {
    if (this.#target === undefined) {
      client.destroy()
      return
    }
    const server = connect(this.#target, '127.0.0.1')
    for (const [socket, other] of [[client, server] as const, [server, client] as const]) {
      this.#sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
      socket.pipe(other)
    }
  }
}
