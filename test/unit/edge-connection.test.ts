/**
 * One connection: order, bounds, and the end of a client that does not read.
 */
import { expect, test, vi } from 'vitest'
import { Connection, type ConnectionHandlers, UNCOUNTED } from '../../src/edge/connection.js'
import type { ClientMessage } from '../../src/protocol/commands.js'

class FakeSocket {
  sent: string[] = []
  buffered = 0
  terminated = false
  ended: unknown
  /** What the kernel does not take. */
  stuck = false

  send(frame: string): void {
    this.sent.push(frame)
    if (this.stuck) this.buffered += frame.length
  }

  cork(work: () => void): void {
    work()
  }

  bufferedBytes(): number {
    return this.buffered
  }

  ping(): void {}

  end(code: number, reason: string): void {
    this.ended = { code, reason }
  }

  terminate(): void {
    this.terminated = true
  }
}

function fixture(more: Partial<ConnectionHandlers> = {}) {
  const socket = new FakeSocket()
  const onRoom = vi.fn()
  const connection = new Connection(
    socket,
    { tenant: 't', subject: 's', role: 'user', expiresAt: undefined },
    { onMessage: () => undefined, onRoom, metrics: UNCOUNTED, ...more },
  )
  return { socket, connection, onRoom }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const ping = (requestId: number): string => JSON.stringify({ type: 'ping', requestId })

test('messages are carried out one after the other, also when an early one takes long', async () => {
  const done: unknown[] = []
  let finish = (): void => undefined
  const onMessage = (_: Connection, message: ClientMessage): Promise<void> | undefined => {
    done.push(message.requestId)
    return message.requestId === 1 ? new Promise((resolve) => (finish = resolve)) : undefined
  }
  const { connection } = fixture({ onMessage })

  for (const id of [1, 2, 3]) connection.receive(ping(id))
  await turn()
  const before = [...done]
  finish()
  await turn()

  expect(before).toEqual([1])
  expect(done).toEqual([1, 2, 3])
})

test('a mistake is answered in its turn', async () => {
  let finish = (): void => undefined
  const onMessage = (sender: Connection): Promise<void> =>
    new Promise((resolve) => {
      finish = () => {
        sender.push('"first"')
        resolve()
      }
    })
  const { connection, socket } = fixture({ onMessage })

  connection.receive(ping(1))
  connection.receive('not json')
  await turn()
  const before = [...socket.sent]
  finish()
  await turn()

  expect(before).toEqual([])
  expect(socket.sent.map((frame) => JSON.parse(frame))).toMatchObject(['first', { code: 'invalid_message' }])
})

test('more messages than may wait are refused, not kept', async () => {
  const { connection, socket } = fixture({ onMessage: () => new Promise(() => undefined) })

  for (let id = 0; id < 1_100; id++) connection.receive(ping(id))
  await turn()

  expect(socket.sent).toHaveLength(1_100 - 1 - 1_024)
  expect(JSON.parse(socket.sent[0] ?? '')).toMatchObject({ code: 'busy', requestId: 1_025 })
})

test('there is no room above 256 KB, and room is announced once the client has read', async () => {
  const { connection, socket, onRoom } = fixture()
  socket.stuck = true

  connection.push('x'.repeat(257 * 1024))
  const whileQueued = connection.hasRoom()
  await turn()
  const whileBuffered = connection.hasRoom()
  socket.buffered = 1_000
  connection.drained()

  expect([whileQueued, whileBuffered, connection.hasRoom()]).toEqual([false, false, true])
  expect(onRoom).toHaveBeenCalledTimes(1)
})

test('room is announced too when the kernel takes everything at once', async () => {
  const { connection, onRoom } = fixture()

  connection.push('x'.repeat(257 * 1024))
  expect(connection.hasRoom()).toBe(false)
  await turn()

  expect(onRoom).toHaveBeenCalledTimes(1)
})

test('a client is stalled after a minute without progress, and progress starts the minute anew', async () => {
  const { connection, socket } = fixture()
  socket.stuck = true
  connection.push('x'.repeat(600 * 1024))
  await turn()
  connection.hasRoom()
  const start = performance.now()

  const early = connection.isStalled(start + 59_000)
  const late = connection.isStalled(start + 61_000)
  socket.buffered -= 1_000
  vi.spyOn(performance, 'now').mockReturnValue(start + 50_000)
  connection.drained()
  vi.restoreAllMocks()

  expect([early, late, connection.isStalled(start + 61_000)]).toEqual([false, true, false])
})

test('a client that asks on and reads nothing is cut off', async () => {
  const { connection, socket } = fixture()
  socket.stuck = true

  for (let count = 0; count < 12; count++) {
    connection.push('x'.repeat(100 * 1024))
    await turn()
  }

  expect(socket.terminated).toBe(true)
})

test('what was pushed before the end goes out first, and nothing after it', async () => {
  const { connection, socket } = fixture()

  connection.push('"last"')
  connection.end(1012, 'bye')
  connection.closed()
  connection.push('"too late"')
  await turn()

  expect(socket.sent).toEqual(['"last"'])
  expect(socket.ended).toEqual({ code: 1012, reason: 'bye' })
})
