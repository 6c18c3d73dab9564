/**
 * Socket.IO over uWebSockets.js, its quickest transport: hands every task to the worker's room, which is on another server,
 * and carries the worker's answers to the clients.
 */

import uWS from 'uWebSockets.js'
import { Server } from 'socket.io'
import { sayReady } from './ready.js'
import { EXECUTE, streamsAdapter, type Task, WORKER_ROOM } from './socket-io.js'

const [url = ''] = process.argv.slice(2)
const app = uWS.App()
// An aborted long poll crashes the compression over uWebSockets.js; nobody polls here.
const io = new Server({ adapter: streamsAdapter(url), transports: ['websocket'], httpCompression: false })
io.attachApp(app)
io.on('connection', (socket) => {
  socket.on(EXECUTE, (task: Omit<Task, 'from'>) => {
    io.to(WORKER_ROOM).emit(EXECUTE, { from: socket.id, ...task })
  })
})
app.listen('127.0.0.1', 0, (socket) => {
  if (!socket) throw new Error('the gateway found no port')
  sayReady(uWS.us_socket_local_port(socket))
})
