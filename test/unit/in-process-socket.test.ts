/**
 * The socket inside the process behaves as one over a network: frames in order, nothing before `open` or after `close`.
 */
import { expect, test, vi } from 'vitest'
import { inProcessSocket } from '../../src/assembly/in-process-socket.js'
import type { Socket } from '../../src/edge/connection.js'

const principal = { tenant: 'local', subject: 'local', role: 'admin', expiresAt: undefined } as const

/** An edge that keeps what it gets, and the socket of the one client that it let in. */
function openSocket() {
  const received: string[] = []
  const leave = vi.fn()
  const edge: { socket: Socket | undefined } = { socket: undefined }
  const enter = (socket: Socket) => {
    edge.socket = socket
    return { receive: (frame: string) => void received.push(frame) }
  }
  const socket = new (inProcessSocket({ enter, leave }, principal))('ws://anywhere')
  const heard: string[] = []
  socket.addEventListener('open', () => heard.push('open'))
  socket.addEventListener('message', ({ data }) => heard.push(String(data)))
  socket.addEventListener('close', ({ code, reason }) => heard.push(`close ${code} ${reason}`))
  const settled = () => new Promise((resolve) => setImmediate(resolve))
  return { socket, edge, received, heard, leave, settled }
}

test('opens after its user has had time to listen, and carries frames both ways in order', async () => {
  const { socket, edge, received, heard, settled } = openSocket()
  socket.send('too early')
  await settled()

  socket.send('one')
  socket.send('two')
  edge.socket?.cork(() => {
    edge.socket?.send('a')
    edge.socket?.send('b')
  })
  expect(heard, 'the edge has finished its work before the client begins').toEqual(['open'])
  await settled()

  expect(received).toEqual(['one', 'two'])
  expect(heard).toEqual(['open', 'a', 'b'])
})

test('a client that closes has left, and hears nothing more', async () => {
  const { socket, edge, received, heard, leave, settled } = openSocket()
  await settled()

  edge.socket?.send('on its way')
  socket.close()
  socket.close()
  socket.send('too late')
  await settled()

  expect(leave).toHaveBeenCalledOnce()
  expect(received).toEqual([])
  expect(heard).toEqual(['open', 'close 1000 '])
})

test.each([
  ['ends', (socket: Socket | undefined) => socket?.end(1012, 'restart'), 'close 1012 restart'],
  ['drops', (socket: Socket | undefined) => socket?.terminate(), 'close 1006 '],
] as const)('a client that the edge %s hears why', async (_how, act, close) => {
  const { edge, heard, leave, settled } = openSocket()
  await settled()

  act(edge.socket)
  await settled()

  expect(heard).toEqual(['open', close])
  expect(leave).toHaveBeenCalledOnce()
})
