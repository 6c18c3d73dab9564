/**
 * Bare Redis Streams, the client's side: every frame is appended to one stream, every answer comes back over another.
 */
import uWS, { type WebSocket } from 'uWebSockets.js'
import { sayReady } from './ready.js'
import { ANSWERS, append, COMMANDS, openWriter, readStream } from './streams.js'

interface UserData {
  id: string
}

const [url = ''] = process.argv.slice(2)
const redis = openWriter(url)
const clients = new Map<string, WebSocket<UserData>>()
let opened = 0

void readStream(url, ANSWERS, ({ from, body }) => clients.get(from)?.send(body))

uWS
  .App()
  .ws<UserData>('/*', {
    upgrade: (res, req, context) => {
      const id = `c${++opened}`
      res.upgrade({ id }, req.getHeader('sec-websocket-key'), '', '', context)
    },
    open: (ws) => void clients.set(ws.getUserData().id, ws),
    close: (ws) => void clients.delete(ws.getUserData().id),
    message: (ws, message) => {
      void append(redis, COMMANDS, { from: ws.getUserData().id, body: Buffer.from(message).toString('utf8') })
    },
  })
  .listen('127.0.0.1', 0, (socket) => {
    if (!socket) throw new Error('the gateway found no port')
    sayReady(uWS.us_socket_local_port(socket))
  })
