/**
 * Two hundred clients whose edge goes away and comes back: all are back soon, and the way there is no storm.
 */
import { expect, onTestFinished, test, vi } from 'vitest'
import WebSocket from 'ws'
import { type Client, type ConnectOptions, connect, FROM_START } from '../../../src/client/client.js'
import { SwitchingProxy } from '../../support/switching-proxy.js'
import { startCluster, startEdge } from './edge-fixture.js'

const CLIENTS = 200
const AWAY_MS = 4_000
const SECOND_MS = 1_000
const PATIENCE = { timeout: 30_000, interval: 50 } as const

/** Notes when each connection is attempted. */
function counting(attempts: number[]): NonNullable<ConnectOptions['webSocket']> {
  return class extends WebSocket {
    constructor(address: string) {
      super(address)
      attempts.push(performance.now())
    }
  } as unknown as NonNullable<ConnectOptions['webSocket']>
}

const within = (attempts: readonly number[], from: number): number =>
  attempts.filter((at) => at >= from && at < from + SECOND_MS).length

test('a restart of four seconds costs less than seven attempts a client, and soon less than one in a second', async () => {
  const cluster = await startCluster()
  const [before, after] = [await startEdge({ cluster }), await startEdge({ cluster })]
  const proxy = new SwitchingProxy(before.edge.port)
  await proxy.start()
  const attempts: number[] = []
  const clients: Client[] = []
  onTestFinished(async () => {
    for (const client of clients) client.close()
    await proxy.stop()
  })
  const url = `ws://127.0.0.1:${proxy.port}`
  for (let index = 0; index < CLIENTS; index++) clients.push(await connect({ url, webSocket: counting(attempts) }))
  const session = await clients[0]?.spawn({ task: 'wait' })
  const watching = await Promise.all(clients.map((client) => client.attach(session?.id ?? '', FROM_START)))

  const lostAt = performance.now()
  proxy.pointTo(undefined)
  await new Promise((resolve) => setTimeout(resolve, AWAY_MS))
  const backAt = performance.now()
  proxy.pointTo(after.edge.port)
  await vi.waitFor(() => expect(after.edge.connections).toBe(CLIENTS), PATIENCE)
  const allBackMs = performance.now() - backAt
  await session?.execute('stream back again')
  await vi.waitFor(
    () => expect(watching.every(({ position }) => position.eventId === session?.position.eventId)).toBe(true),
    PATIENCE,
  )

  const first = within(attempts, lostAt)
  const later = [1, 2, 3].map((second) => within(attempts, lostAt + second * SECOND_MS))
  console.info(`attempts by second: ${[first, ...later].join(', ')}; all back after ${Math.round(allBackMs)} ms`)
  // On a busy machine attempts of one second are made in the next: what counts is how many there are.
  expect([first, ...later].reduce((sum, many) => sum + many)).toBeLessThan(7 * CLIENTS)
  expect((later[1] ?? 0) + (later[2] ?? 0)).toBeLessThan(2 * CLIENTS)
}, 90_000)
