/**
 * Ends connections that answer nothing any more, as after a partition: everything asked of them is rejected then, and a new
 * connection tells more. Not each command has a deadline: a process that had no time to read its answers, because the
 * machine is full or its loop was stuck, would take them for lost, ask again, and have still less time.
 */
import { Cluster, type Redis } from 'ioredis'

const LOOK_MS = 500
/**
 * Looks in a row without a byte: 2 s. Longer than any healthy command takes, shorter than the time after which a silent
 * worker is declared dead.
 */
const MAX_SILENT_LOOKS = 4

/** Bytes that have come over the client's present connections. */
export const received = (client: Redis | Cluster): number =>
  nodesOf(client).reduce((sum, { stream }) => sum + (stream?.bytesRead ?? 0), 0)

/** Watches a client for commands until it ends. Of a Redis Cluster each connection for itself. */
export function watch(client: Redis | Cluster): void {
  if (client instanceof Cluster) client.on('+node', watchOne)
  else watchOne(client)
}

const nodesOf = (client: Redis | Cluster): Redis[] => (client instanceof Cluster ? client.nodes() : [client])

function watchOne(redis: Redis): void {
  let silent = 0
  let before = 0
  const look = setInterval(() => {
    const isOpen = redis.status === 'ready' || redis.status === 'connect'
    const bytes = redis.stream?.bytesRead ?? 0
    silent = isOpen && bytes === before ? silent + 1 : 0
    before = bytes
    if (silent >= MAX_SILENT_LOOKS) {
      silent = 0
      redis.disconnect(true)
    } else if (redis.status === 'ready') redis.ping().catch(() => undefined) // Its error is that of the connection.
  }, LOOK_MS)
  look.unref()
  redis.once('end', () => clearInterval(look))
}
