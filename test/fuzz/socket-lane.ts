/**
 * One connection over WebSocket that batches are thrown over: it is asked after each whether the service lives on, and opened
 * anew when it was ended.
 */
import WebSocket from 'ws'
import { type Finding, shown } from './finding.js'
import { type Lane, suspects } from './lanes.js'
import { faultOf } from './refusals.js'

const ANSWER_MS = 10_000
const SHOWN_CHARS = 200

export abstract class SocketLane implements Lane {
  #socket: WebSocket | undefined
  #faults: Finding[] = []
  #sent: string[] = []
  #settle: (() => void) | undefined

  constructor(private readonly url: string) {}

  async throwBatch(count: number): Promise<readonly Finding[]> {
    this.#faults = []
    this.#sent = []
    await this.throwAll(count)
    return this.#faults
  }

  close(): void {
    this.#socket?.terminate()
  }

  /** Throws so many inputs, and asks for an answer among them. */
  protected abstract throwAll(count: number): Promise<void>

  /** Resolves when the service takes what is thrown. @throws Error when it does not let us in */
  protected abstract welcomed(socket: WebSocket): Promise<void>

  protected async open(): Promise<WebSocket> {
    if (this.#socket?.readyState === WebSocket.OPEN) return this.#socket
    const socket = new WebSocket(this.url, { perMessageDeflate: false })
    this.#socket = socket
    socket.on('close', () => this.settle())
    await this.welcomed(socket)
    // What ends it later is told by its close.
    socket.on('error', () => undefined)
    return socket
  }

  protected send(socket: WebSocket, input: string | Buffer): void {
    this.#sent.push(shown(input))
    socket.send(input)
  }

  /** Sends a question, and waits until somebody says `settle`: the answer has come, or the connection has ended. */
  protected async ask(socket: WebSocket, question: string): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), ANSWER_MS)
    })
    const settled = new Promise<void>((resolve) => (this.#settle = resolve))
    socket.send(question)
    const isLate = socket.readyState === WebSocket.OPEN && (await Promise.race([settled, late])) === 'late'
    clearTimeout(timer)
    this.#settle = undefined
    if (!isLate) return
    this.#faults.push({ what: 'a ping without an answer', input: suspects(this.#sent) })
    socket.terminate()
  }

  protected settle(): void {
    this.#settle?.()
  }

  /** What is refused is refused in the words of the table. */
  protected refused(refusal: Parameters<typeof faultOf>[0], text: string): void {
    const what = faultOf(refusal)
    if (what === undefined) return
    this.#faults.push({ what: `${what}: ${text.slice(0, SHOWN_CHARS)}`, input: suspects(this.#sent) })
  }
}
