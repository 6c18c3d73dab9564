/**
 * Socket.IO by polling through the load balancer of `deploy/`, with two edges behind it (row S-03): all requests of a client
 * reach the edge that knows it.
 */
import { createServer } from 'node:http'
import { io, type Socket } from 'socket.io-client'
import { expect, onTestFinished, test, vi } from 'vitest'
import { findHaproxy, startBalancer } from '../../loadtest/cluster/balancer.js'
import { Teardown } from '../../src/chaos/teardown.js'
import { AUTH, startCluster, startEdge, token } from '../contract/wire/edge-fixture.js'

const CLIENTS = 6
const ARRIVAL = { timeout: 20_000, interval: 10 } as const
const TASK = 'stream hello'

/** What the balancer asks whether an edge takes new clients. */
async function readiness(): Promise<number> {
  const server = createServer((_request, response) => response.writeHead(200).end())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

interface Polling {
  readonly socket: Socket
  readonly told: Map<string, Record<string, unknown>>
  /** Why it had to begin anew. */
  readonly troubles: unknown[]
}

function connect(port: number, auth: { readonly token: string }): Polling {
  const socket = io(`http://127.0.0.1:${port}`, { forceNew: true, transports: ['polling'], auth })
  onTestFinished(() => void socket.close())
  const told = new Map<string, Record<string, unknown>>()
  const troubles: unknown[] = []
  socket.onAny((type: string, message: Record<string, unknown>) => told.set(type, message))
  for (const word of ['connect_error', 'disconnect']) socket.on(word, (reason: unknown) => troubles.push(reason))
  return { socket, told, troubles }
}

test.skipIf(findHaproxy() === undefined)(
  'clients that poll are each served by one edge, whichever that is',
  async () => {
    const teardown = new Teardown()
    onTestFinished(() => teardown.run())
    const cluster = await startCluster()
    const edges = [await startEdge({ cluster, auth: AUTH }), await startEdge({ cluster, auth: AUTH })]
    const balanced = await Promise.all(
      edges.map(async ({ url }) => ({ port: Number(new URL(url).port), metricsPort: await readiness() })),
    )
    const balancer = await startBalancer(teardown, balanced)

    const auth = { token: await token() }
    const clients = Array.from({ length: CLIENTS }, () => connect(balancer?.port ?? 0, auth))
    for (const { socket } of clients) socket.emit('spawn_session', { task: TASK })

    for (const { told, troubles } of clients) {
      await vi.waitFor(() => expect(told.get('session_spawned')).toMatchObject({ status: 'active' }), ARRIVAL)
      expect(troubles).toEqual([])
    }
  },
)
