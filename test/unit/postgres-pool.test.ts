/** The pool of connections to PostgreSQL, against a server that says what no real one says on demand. */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { postgresPool } from '../../src/storage/postgres.js'

/** https://www.postgresql.org/docs/17/protocol-message-formats.html */
function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.write(type)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

const AUTHENTICATED = message('R', Buffer.alloc(4))
const READY = message('Z', Buffer.from('I'))
const TERMINATED = message(
  'E',
  Buffer.from('SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0'),
)

/** Ends every connection with the packet that opens it. */
const server = createServer((socket) => {
  socket.on('error', () => undefined)
  socket.once('data', () => socket.end(Buffer.concat([AUTHENTICATED, READY, TERMINATED])))
})

beforeAll(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening')
})
afterAll(() => server.close())

test('a connection that the server ends in the moment in which it is handed out fails its query, and nothing else', async () => {
  const uncaught = vi.fn()
  process.on('uncaughtException', uncaught)
  const { port } = server.address() as AddressInfo
  const pool = postgresPool({ url: `postgres://somebody@127.0.0.1:${port}/db`, poolSize: 1, connectTimeoutMs: 5_000 })

  const client = await pool.connect()
  await expect(client.query('select 1', [])).rejects.toThrow()
  client.release()
  await pool.end()
  process.off('uncaughtException', uncaught)

  expect(uncaught).not.toHaveBeenCalled()
})
