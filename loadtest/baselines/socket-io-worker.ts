/**
 * The worker-like Socket.IO server: takes what the adapter brings for the worker's room and emits the answer to the
 * client's room, which the adapter carries back. It listens to the adapter itself, because a client of its own in that room
 * would cost a connection that the service does not need either.
 */
import { Server } from 'socket.io'
import { sayReady } from './ready.js'
import { COMPLETED, streamsAdapter, type Task, WORKER_ROOM } from './socket-io.js'

/** The adapter's number for an emit to rooms. */
const BROADCAST = '3'

interface Broadcast {
  readonly opts: { readonly rooms: readonly string[] }
  readonly packet: { readonly data: readonly [string, Task] }
}

const [url = ''] = process.argv.slice(2)
const makeAdapter = streamsAdapter(url)
const io = new Server({ adapter: listeningAdapter })

/** No arrow function, because the server calls it with `new`. */
function listeningAdapter(namespace: Parameters<typeof makeAdapter>[0]): ReturnType<typeof makeAdapter> {
  const adapter = makeAdapter(namespace)
  const receive = adapter.onRawMessage.bind(adapter)
  adapter.onRawMessage = (raw, offset) => {
    const broadcast = raw.type === BROADCAST ? (JSON.parse(raw.data ?? '') as Broadcast) : undefined
    // Its own emits come back over the stream too.
    if (broadcast?.opts.rooms.includes(WORKER_ROOM)) work(broadcast.packet.data[1])
    else if (broadcast === undefined) receive(raw, offset)
  }
  return adapter
}

function work(task: Task): void {
  io.to(task.from).emit(COMPLETED, { requestId: task.requestId, payload: task.payload })
}

io.of('/')
sayReady()
