/**
 * The floor: uWebSockets.js sends every frame back. Nothing that takes a connection here can be faster.
 */
import uWS from 'uWebSockets.js'
import { sayReady } from './ready.js'

uWS
  .App()
  .ws('/*', { message: (ws, message) => void ws.send(message) })
  .listen('127.0.0.1', 0, (socket) => {
    if (!socket) throw new Error('the echo server found no port')
    sayReady(uWS.us_socket_local_port(socket))
  })
