/**
 * The servers that the demo and the tests start for themselves.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { expect, onTestFinished, test, vi } from 'vitest'
import { startRedis } from '../../scripts/servers/servers.js'

const SERVERS = fileURLToPath(new URL('../../scripts/servers/servers.ts', import.meta.url))

const STARTER = `
  const { startRedis } = await import(${JSON.stringify(SERVERS)})
  const redis = await startRedis({ own: true })
  const { Redis } = await import('ioredis')
  const client = new Redis(redis.url)
  const [, folder] = await client.config('GET', 'dir')
  console.log(JSON.stringify({ pid: redis.pid, folder }))
  setInterval(() => {}, 1000)
`

test('a Redis that was killed comes back on the same port with what it had synced', async () => {
  const server = await startRedis({ own: true, extraArgs: ['--appendfsync', 'always'] })
  onTestFinished(() => server.stop())
  const client = new Redis(server.url)
  client.on('error', () => {}) // The kill below is meant to be seen.
  onTestFinished(() => client.disconnect())
  await client.set('key', 'value')

  await server.kill('SIGKILL')
  await server.restart()

  expect(await client.get('key')).toBe('value')
})

test('a server that the user named is not ours to kill', async () => {
  const server = await startRedis()

  expect(server.url).toBe(process.env.TEST_REDIS_URL)
  await expect(server.kill('SIGKILL')).rejects.toThrow('not ours to kill')
})

test('kill -9 of the starter leaves neither its server nor its folder behind', async () => {
  const starter = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', STARTER], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void starter.kill('SIGKILL'))
  const line = await new Promise<string>((resolve) => createInterface({ input: starter.stdout }).once('line', resolve))
  const { pid, folder } = JSON.parse(line) as { pid: number; folder: string }
  expect(existsSync(folder)).toBe(true)

  starter.kill('SIGKILL')

  await vi.waitFor(() => expect(isAlive(pid)).toBe(false), { timeout: 30_000 })
  await vi.waitFor(() => expect(existsSync(folder)).toBe(false), { timeout: 30_000 })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false // No such process.
  }
}
