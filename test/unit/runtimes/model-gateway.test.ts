/**
 * The door to the model: who may pass, with whose key, and what the vendor never sees.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import { type ModelCalls, ModelGateway } from '../../../src/runtimes/claude/model-gateway.js'

const callsOf = (mayCall: () => void): ModelCalls => ({
  mayCall,
  reserve: async ({ maxTokens }) => ({ maxTokens, settle: async () => undefined }),
})
const FREE = callsOf(() => undefined)

interface Seen {
  readonly url: string | undefined
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** A vendor that answers in two pieces, and a gateway before it. */
async function fixture({ path = '', apiKey = 'sk-vendor' }: { path?: string; apiKey?: string | undefined } = {}) {
  const seen: Seen[] = []
  let closed = 0
  const vendor = createServer(async (request, response) => {
    response.on('close', () => (closed += 1))
    let body = ''
    for await (const chunk of request) body += String(chunk)
    seen.push({ url: request.url, headers: request.headers, body })
    response.writeHead(200, { 'content-type': 'text/event-stream', 'x-of-vendor': '1' })
    response.write('data: one\n\n')
    if (!body.includes('hang')) response.end('data: two\n\n')
  }).listen(0, '127.0.0.1')
  await once(vendor, 'listening')
  const upstream = `http://127.0.0.1:${(vendor.address() as AddressInfo).port}${path}`
  const gateway = new ModelGateway({ upstream, apiKey })
  onTestFinished(async () => {
    await gateway.stop()
    vendor.closeAllConnections()
    vendor.close()
  })
  const address = await gateway.address()
  const call = (key: string, to = '/v1/messages?beta=true', init: RequestInit = {}) =>
    fetch(`${address}${to}`, {
      method: 'POST',
      body: '{"a":1}',
      headers: { 'x-api-key': key, 'x-kept': 'yes' },
      ...init,
    })
  return { gateway, vendor, seen, call, closed: () => closed }
}

test('a call of a turn reaches the vendor with its key, whole, and the answer comes back as it is', async () => {
  const { gateway, seen, call } = await fixture({ path: '/proxy' })
  const pass = gateway.issuePass()
  const mayCall = vi.fn()
  pass.calls = callsOf(mayCall)

  const answer = await call(pass.key)

  expect([answer.status, answer.headers.get('x-of-vendor'), await answer.text()]).toEqual([
    ...[200, '1', 'data: one\n\ndata: two\n\n'],
  ])
  expect(seen).toMatchObject([{ url: '/proxy/v1/messages?beta=true', body: '{"a":1}', headers: { 'x-kept': 'yes' } }])
  expect(seen[0]?.headers['x-api-key']).toBe('sk-vendor')
  expect(JSON.stringify(seen)).not.toContain(pass.key)
  expect(mayCall).toHaveBeenCalledTimes(1)
})

test.each([
  ['an unknown key', 'sk-guessed', '/v1/messages', 403],
  ['another path', undefined, '/v1/files', 404],
  ['a path that only begins like it', undefined, '/v1/messages/batches', 404],
  ['the root', undefined, '/', 404],
])('%s does not pass', async (_what, key, to, status) => {
  const { gateway, seen, call } = await fixture()
  const pass = gateway.issuePass()
  pass.calls = FREE
  expect((await call(key ?? pass.key, to)).status).toBe(status)
  expect(seen).toEqual([])
})

test('without a turn, after its end, and when the worker may start nothing, no call is made', async () => {
  const { gateway, seen, call } = await fixture()
  const pass = gateway.issuePass()
  expect((await call(pass.key)).status).toBe(403)
  pass.calls = callsOf(() => {
    throw new Error('no acknowledged beat')
  })
  expect((await call(pass.key)).status).toBe(503)
  pass.calls = FREE
  gateway.revoke(pass)
  expect((await call(pass.key)).status).toBe(403)
  expect(seen).toEqual([])
})

test('a caller that goes away takes its call along', async () => {
  const { gateway, call, closed } = await fixture()
  const pass = gateway.issuePass()
  pass.calls = FREE
  const leaving = new AbortController()
  const answer = await call(pass.key, undefined, { body: 'hang', signal: leaving.signal })
  expect(answer.status).toBe(200)
  leaving.abort()
  await vi.waitFor(() => expect(closed()).toBe(1))
})

test('a vendor that cannot be reached is said in the form that the vendor itself uses', async () => {
  const { gateway, vendor, call } = await fixture()
  const pass = gateway.issuePass()
  pass.calls = FREE
  vendor.close()
  await once(vendor, 'close')
  const answer = await call(pass.key)
  expect(answer.status).toBe(502)
  expect(await answer.json()).toMatchObject({
    type: 'error',
    error: { message: expect.stringMatching(/ECONNREFUSED/) },
  })
})

test('a stopped gateway takes no call, and may be stopped again', async () => {
  const { gateway, call } = await fixture()
  const pass = gateway.issuePass()
  pass.calls = FREE
  await gateway.stop()
  await gateway.stop()
  await expect(call(pass.key)).rejects.toThrow()
})
