/**
 * The image's HEALTHCHECK says what the daemon in the container says.
 */
import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'

const PROGRAM = fileURLToPath(new URL('../../../deploy/health-check.mjs', import.meta.url))

function check(env: Record<string, string>): Promise<{ code: number; said: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM], { env }, (error, stdout) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, said: stdout.trim() })
    })
  })
}

async function daemonAnswering(status: number, body: string): Promise<string> {
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/ready' ? status : 404).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return String((server.address() as AddressInfo).port)
}

test('a daemon that is ready is healthy', async () => {
  const METRICS_PORT = await daemonAnswering(200, '{"ready":true}')

  expect(await check({ METRICS_PORT })).toEqual({ code: 0, said: '{"ready":true}' })
})

test('a daemon that is draining is not, and its reason is passed on', async () => {
  const METRICS_PORT = await daemonAnswering(503, '{"ready":false,"message":"draining"}')

  expect(await check({ METRICS_PORT })).toEqual({ code: 1, said: '{"ready":false,"message":"draining"}' })
})

test('a daemon that does not listen is not healthy', async () => {
  // Port 1 is reserved, and nothing listens on it.
  expect(await check({ METRICS_PORT: '1' })).toMatchObject({
    code: 1,
    said: expect.stringMatching(/127\.0\.0\.1:1\/ready: .*ECONNREFUSED/),
  })
})

test('without a metrics port nothing is known, and the container is left alone', async () => {
  expect(await check({ METRICS_ENABLED: 'false', METRICS_PORT: '1' })).toMatchObject({ code: 0 })
})
