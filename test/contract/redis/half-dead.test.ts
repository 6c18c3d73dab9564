/**
 * Connections that answer nothing, and processes that have no time to read the answers.
 */
import { expect, onTestFinished, test, vi } from 'vitest'
import { startRedis } from '../../../scripts/servers/servers.js'
import { BlockingRead } from '../../../src/redis/blocking-read.js'
import { connectBlocking, connectCommands, disconnect } from '../../../src/redis/connect.js'
import { redisAt } from '../cluster/plane.js'

/** Longer than the time after which a silent connection is ended. */
const STUCK_MS = 3_500

function blockLoop(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

async function ownRedis() {
  const server = await startRedis({ own: true })
  onTestFinished(() => server.stop())
  return { server, config: redisAt(server.url) }
}

test('what is asked of a server that has stopped is refused within seconds, and the next connection works', async () => {
  const { server, config } = await ownRedis()
  const redis = await connectCommands(config, () => undefined)
  onTestFinished(() => disconnect(redis))

  await server.kill('SIGSTOP')
  const askedAt = performance.now()
  await expect(redis.get('a')).rejects.toThrow()
  expect(performance.now() - askedAt).toBeLessThan(15_000)
  await server.kill('SIGCONT')

  await vi.waitFor(async () => expect(await redis.set('a', '1')).toBe('OK'), { timeout: 20_000 })
})

test('a process that was stuck for longer than that still reads its answers', async () => {
  const { config } = await ownRedis()
  const redis = await connectCommands(config, () => undefined)
  onTestFinished(() => disconnect(redis))

  const answers = Promise.all([redis.set('a', '1'), redis.get('a')])
  blockLoop(STUCK_MS)

  expect(await answers).toEqual(['OK', '1'])
  expect(redis.status).toBe('ready')
})

test('a read that waits outlasts a stuck process too, and is given up when its server has stopped', async () => {
  const { server, config } = await ownRedis()
  const client = await connectBlocking(config, () => undefined)
  const writer = await connectCommands(config, () => undefined)
  onTestFinished(() => disconnect(writer))
  const onLost = vi.fn()
  const seen: string[] = []
  const read = new BlockingRead({
    ...{ client, count: 10, onLost },
    cursors: () => new Map([['s', seen.at(-1) ?? '0-0']]),
    onBatches: async (batches) => void seen.push(...batches.flatMap(([, entries]) => entries.map(([id]) => id))),
  })
  read.start()
  onTestFinished(() => read.stop())

  const added = writer.xadd('s', '1-1', 'n', '1')
  blockLoop(STUCK_MS)
  await added
  await vi.waitFor(() => expect(seen).toEqual(['1-1']), { timeout: 20_000 })
  expect(onLost).not.toHaveBeenCalled()

  await server.kill('SIGSTOP')
  await vi.waitFor(() => expect(client.status).not.toBe('ready'), { timeout: 20_000 })
  await server.kill('SIGCONT')
  await vi.waitFor(() => expect(onLost).toHaveBeenCalled(), { timeout: 20_000 })
})
