/**
 * `k6/websockets` over the `ws` package. k6 hands errors as `{ error }` and text as strings, and so does this.
 */
import { WebSocket as Socket } from 'ws'

export class WebSocket {
  #socket

  constructor(url, _protocols, { headers } = {}) {
    this.#socket = new Socket(url, { headers, perMessageDeflate: false })
    this.#socket.on('open', () => this.onopen?.())
    this.#socket.on('message', (data) => this.onmessage?.({ data: data.toString() }))
    this.#socket.on('error', ({ message }) => this.onerror?.({ error: message }))
    this.#socket.on('close', (code) => this.onclose?.({ code }))
  }

  get readyState() {
    return this.#socket.readyState
  }

  send(text) {
    this.#socket.send(text)
  }

  close() {
    this.#socket.close()
  }
}
