/**
 * One WebSocket connection over a plain TCP socket. All connections read into the same memory, because every chunk is cut
 * up before the next one comes.
 */
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { clientFrame, FrameReader, OPCODE, type Opcode } from './frames.js'

/** A few hundred answers: what a busy connection brings at once. */
const READ_BYTES = 256 * 1024
const CONNECT_TIMEOUT_MS = 10_000
const HEADER_END = '\r\n\r\n'
const MAX_HEADER_BYTES = 16 * 1024

const readMemory = Buffer.allocUnsafeSlow(READ_BYTES)

export interface Target {
  readonly host: string
  readonly port: number
}

export interface SocketHandlers {
  onText(text: string): void
  /** The connection is gone, other than by `close`. */
  onLost(reason: string): void
}

export class LoadSocket {
  readonly #socket: Socket
  readonly #handlers: SocketHandlers
  readonly #reader = new FrameReader((opcode, payload) => this.#take(opcode, payload))
  /** The answer to the upgrade, until it is complete. */
  #header: string | undefined = ''
  #closing = false
  readonly #target: Target
  #opened: () => void = () => {}
  #failed: (error: Error) => void = () => {}

  constructor(target: Target, handlers: SocketHandlers) {
    this.#target = target
    this.#handlers = handlers
    const onread = { buffer: readMemory, callback: (bytes: number) => this.#read(readMemory.subarray(0, bytes)) }
    this.#socket = connect({ ...target, noDelay: true, onread })
    this.#socket.on('error', (error) => this.#lost(error.message))
    this.#socket.on('close', () => this.#lost('the server closed the connection'))
  }

  /** Resolves when messages may be sent; the first of the server may come before. @throws Error when it is refused. */
  async open(path: string, token: string): Promise<void> {
    const timer = setTimeout(() => this.#lost(`no upgrade within ${CONNECT_TIMEOUT_MS} ms`), CONNECT_TIMEOUT_MS)
    const opened = new Promise<void>((resolve, reject) => {
      this.#opened = resolve
      this.#failed = reject
    })
    this.#socket.write(upgradeRequest(this.#target, path, token), 'latin1')
    await opened.finally(() => clearTimeout(timer))
  }

  /** Sends one text message of ASCII characters. */
  send(text: string): void {
    this.#socket.write(clientFrame(text), 'latin1')
  }

  close(): void {
    this.#closing = true
    this.#socket.destroy()
  }

  #read(chunk: Buffer): boolean {
    try {
      if (this.#header === undefined) this.#reader.push(chunk)
      else this.#readHeader(chunk)
    } catch (error) {
      this.#lost(error instanceof Error ? error.message : String(error))
    }
    return true
  }

  #readHeader(chunk: Buffer): void {
    const seen = (this.#header ?? '') + chunk.toString('latin1')
    const end = seen.indexOf(HEADER_END)
    if (end < 0 && seen.length <= MAX_HEADER_BYTES) {
      this.#header = seen
      return
    }
    if (!seen.startsWith('HTTP/1.1 101')) throw new Error(`no upgrade: ${seen.slice(0, 200).replaceAll('\r\n', ' ')}`)
    this.#header = undefined
    this.#opened()
    const rest = Buffer.from(seen.slice(end + HEADER_END.length), 'latin1')
    if (rest.length > 0) this.#reader.push(rest)
  }

  #take(opcode: Opcode, payload: string): void {
    if (opcode === OPCODE.text || opcode === OPCODE.binary) this.#handlers.onText(payload)
    else if (opcode === OPCODE.ping) this.#socket.write(clientFrame(payload, OPCODE.pong), 'latin1')
    else if (opcode === OPCODE.close) this.#lost(`the server said ${closeCode(payload)}`)
  }

  #lost(reason: string): void {
    if (this.#closing) return
    this.close()
    this.#failed(new Error(reason))
    this.#handlers.onLost(reason)
  }
}

function upgradeRequest({ host, port }: Target, path: string, token: string): string {
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: ${host}:${port}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
    ...(token === '' ? [] : [`Authorization: Bearer ${token}`]),
  ]
  return lines.join('\r\n') + HEADER_END
}

const closeCode = (payload: string): string =>
  payload.length < 2 ? 'good-bye' : `${payload.charCodeAt(0) * 256 + payload.charCodeAt(1)} ${payload.slice(2)}`
