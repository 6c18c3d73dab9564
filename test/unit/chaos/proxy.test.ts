/**
 * The network of a fault run: bytes pass, wait in one direction, or are lost with their connection.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test, vi } from 'vitest'
import { TcpProxy } from '../../../src/chaos/proxy.js'

/** Longer than loopback needs, so that what has not come is held. */
const HELD_MS = 100

/** A busy machine may take the time away from this process: what has come meanwhile is read in the turns after it. */
async function longEnough(): Promise<void> {
  await sleep(HELD_MS)
  for (let turn = 0; turn < 10; turn++) await setImmediate()
}

interface Wire {
  readonly proxy: TcpProxy
  readonly near: Socket
  /** What has arrived at each end. */
  received(): { near: string; far: string }
  /** The server's end of the first connection. */
  far(): Socket
}

async function wire(): Promise<Wire> {
  const farEnds: Socket[] = []
  const got = { near: '', far: '' }
  const server = createServer((socket) => {
    farEnds.push(socket)
    socket
      .on('error', () => {})
      .on('data', (chunk) => {
        got.far += chunk
      })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy = await TcpProxy.start((server.address() as AddressInfo).port)
  const near = connect(proxy.port, '127.0.0.1')
  near
    .on('error', () => {})
    .on('data', (chunk) => {
      got.near += chunk
    })
  await once(near, 'connect')
  onTestFinished(async () => {
    near.destroy()
    await proxy.stop()
    server.close()
  })
  await vi.waitFor(() => expect(farEnds).toHaveLength(1))
  return { proxy, near, received: () => ({ ...got }), far: () => farEnds[0] as Socket }
}

test('bytes pass in both directions', async () => {
  const { near, far, received } = await wire()

  near.write('up')
  far().write('down')

  await vi.waitFor(() => expect(received()).toEqual({ near: 'down', far: 'up' }))
})

test('one direction waits while the other passes, and nothing of it is lost', async () => {
  const { proxy, near, far, received } = await wire()
  proxy.mode = 'hold-up'

  near.write('up')
  far().write('down')
  await vi.waitFor(() => expect(received().near).toBe('down'))
  await longEnough()
  const whileHeld = received().far
  proxy.mode = 'pass'

  expect(whileHeld).toBe('')
  await vi.waitFor(() => expect(received().far).toBe('up'))
})

test('a stream that has lost bytes ends when the network is back', async () => {
  const { proxy, near, received } = await wire()
  proxy.mode = 'drop'
  near.write('lost')
  await longEnough()

  proxy.mode = 'pass'

  await once(near, 'close')
  expect(received().far).toBe('')
})

test('a cut ends what stands and refuses what comes', async () => {
  const { proxy, near } = await wire()

  proxy.mode = 'cut'

  await once(near, 'close')
  const again = connect(proxy.port, '127.0.0.1').on('error', () => {})
  await once(again, 'close')
})
