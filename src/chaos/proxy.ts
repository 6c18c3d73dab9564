/**
 * A TCP proxy in this process between one node and one store: the network that faults are made of. Bytes pass, wait, or
 * are lost, in one direction or both, and it can be pointed at another server.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/**
 * `pass` lets everything through · `hold` keeps bytes of both directions until it passes again, as lost packets that are
 * sent anew · `hold-up` keeps only what the node sends, `hold-down` only what it would receive · `drop` loses bytes, and
 * with them the connections, once it passes again · `cut` ends all connections and refuses new ones.
 */
export type ProxyMode = 'pass' | 'hold' | 'hold-up' | 'hold-down' | 'drop' | 'cut'

/** A connection through the proxy: `near` is the node's end, `far` the store's. */
interface Link {
  readonly near: Socket
  readonly far: Socket
}

export class TcpProxy {
  readonly #server: Server
  readonly #links = new Set<Link>()
  #target: number
  #mode: ProxyMode = 'pass'

  private constructor(target: number) {
    this.#target = target
    this.#server = createServer((near) => this.#accept(near))
  }

  /** Listens on a free port of 127.0.0.1 and passes everything to `target`, a port there. */
  static async start(target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** The same address, by way of this proxy. */
  through(url: string): string {
    const address = new URL(url)
    address.hostname = '127.0.0.1'
    address.port = String(this.port)
    return address.href
  }

  get mode(): ProxyMode {
    return this.#mode
  }

  set mode(mode: ProxyMode) {
    const before = this.#mode
    this.#mode = mode
    // A stream with a hole in it is no stream any more.
    if (mode === 'cut' || before === 'drop') this.#endAll()
    for (const link of this.#links) this.#flow(link)
  }

  /** From now on connections lead to another port; those that stand end, as they do when a server is gone. */
  retarget(port: number): void {
    this.#target = port
    this.#endAll()
  }

  async stop(): Promise<void> {
    this.#endAll()
    this.#server.close()
  }

  #accept(near: Socket): void {
    if (this.#mode === 'cut') {
      near.destroy()
      return
    }
    const far = connect({ port: this.#target, host: '127.0.0.1', noDelay: true })
    near.setNoDelay(true)
    const link = { near, far }
    this.#links.add(link)
    const end = (): void => {
      this.#links.delete(link)
      near.destroy()
      far.destroy()
    }
    this.#pump(near, far, link)
    this.#pump(far, near, link)
    for (const socket of [near, far]) socket.on('error', end).on('close', end)
    this.#flow(link)
  }

  #pump(from: Socket, to: Socket, link: Link): void {
    from.on('data', (chunk) => {
      if (this.#mode === 'drop') return
      if (to.write(chunk)) return
      from.pause()
      to.once('drain', () => this.#flow(link))
    })
  }

  #flow({ near, far }: Link): void {
    if (this.#mode === 'hold' || this.#mode === 'hold-up') near.pause()
    else near.resume()
    if (this.#mode === 'hold' || this.#mode === 'hold-down') far.pause()
    else far.resume()
  }

  #endAll(): void {
    for (const { near, far } of this.#links) {
      near.destroy()
      far.destroy()
    }
    this.#links.clear()
  }
}
