import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { isPublicAddress } from '../../../src/runtimes/tools/public-address.js'
import { standardTools } from '../../../src/runtimes/tools/toolbox.js'
import { caller, HOLDER, temporaryWorkspace } from './tool-call.js'

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const open = async () => caller(await temporaryWorkspace(), standardTools({ allowPrivateNetwork: true }))
const guarded = async () => caller(await temporaryWorkspace())

describe('only public addresses are fetched', () => {
  test.each([
    'http://127.0.0.1/',
    'http://127.1/',
    'http://2130706433/',
    'http://0x7f.0.0.1/',
    'http://0.0.0.0/',
    'http://localhost/',
    'http://[::1]/',
    'http://[::]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:7f00:1]/',
    'http://[64:ff9b::7f00:1]/',
    'http://[2002:7f00:1::]/',
    'http://[fe80::1]/',
    'http://[fd00:ec2::254]/',
    'http://169.254.169.254/latest/meta-data/',
    'http://10.1.2.3/',
    'http://172.16.0.1/',
    'http://192.168.1.1/',
    'http://100.64.0.1/',
    'http://224.0.0.1/',
    'http://255.255.255.255/',
  ])('%s is refused before a connection is made', async (url) => {
    const outcome = await (await guarded()).outcome('web_fetch', { url })
    expect(outcome).toMatchObject({ status: 'failed', error: expect.stringMatching(/is not public/) })
  })

  test('a server that is really there is refused too, and hears nothing', async () => {
    let requests = 0
    const url = await serve((_, response) => {
      requests++
      response.end()
    })
    const call = await guarded()
    await call.outcome('web_fetch', { url })
    await call.outcome('web_fetch', { url: url.replace('127.0.0.1', 'localhost') })
    expect(requests).toBe(0)
  })

  test.each(['8.8.8.8', '93.184.216.34', '172.15.255.255', '172.32.0.1', '2606:4700:4700::1111', '2a00:1450::1'])(
    '%s is public',
    (address) => {
      expect(isPublicAddress(address)).toBe(true)
    },
  )

  test.each(['', 'localhost', '1.2.3', '::1%lo', '2001:db8::1', '2001::1', 'ff02::1'])('%j is not', (address) => {
    expect(isPublicAddress(address)).toBe(false)
  })

  test.each(['file:///etc/passwd', 'ftp://example.org/', 'gopher://127.0.0.1/', 'data:text/plain,x'])(
    '%s is no web address',
    async (url) => {
      expect(await (await guarded()).outcome('web_fetch', { url })).toMatchObject({
        error: expect.stringMatching(/Only http and https/),
      })
    },
  )
})

test('TOOLS: an answer comes back whole: status, headers, body', async () => {
  const url = await serve((_, response) => response.writeHead(404, 'Gone fishing', { 'x-a': 'b' }).end('grüße'))
  expect(await (await open()).result('web_fetch', { url })).toMatchObject({
    url: `${url}/`,
    statusCode: 404,
    statusMessage: 'Gone fishing',
    headers: { 'x-a': 'b' },
    body: 'grüße',
    size: 7,
  })
})

test('headers are sent, but not those that steer the connection', async () => {
  let seen: IncomingMessage['headers'] = {}
  const url = await serve((request, response) => {
    seen = request.headers
    response.end()
  })
  await (await open()).result('web_fetch', {
    url,
    headers: { 'X-Mine': '1', Host: 'internal', 'Accept-Encoding': 'gzip' },
  })
  expect(seen).toMatchObject({ 'x-mine': '1', host: url.slice('http://'.length), 'accept-encoding': 'identity' })
})

test('a redirect is followed as browsers do, without secrets to another origin', async () => {
  let seen: unknown[] = []
  const target = await serve((request, response) => {
    seen = [request.method, request.headers.authorization, request.headers['x-mine']]
    response.end('there')
  })
  const url = await serve((_, response) => response.writeHead(302, { location: `${target}/b` }).end())

  const result = await (await open()).result('web_fetch', {
    url,
    method: 'POST',
    headers: { authorization: 'Bearer x', 'x-mine': '1' },
  })

  expect(result).toMatchObject({ url: `${target}/b`, body: 'there' })
  expect(seen).toEqual(['GET', undefined, '1'])
})

test.each([
  ['a circle', (url: string) => url, /More than 5 redirects/],
  ['another protocol', () => 'file:///etc/passwd', /Only http and https/],
  ['no URL', () => 'http://', /is no URL/],
])('a redirect to %s ends with a sentence', async (_what, location, sentence) => {
  const url: string = await serve((_, response) => response.writeHead(302, { location: location(url) }).end())
  expect(await (await open()).outcome('web_fetch', { url })).toMatchObject({
    status: 'failed',
    error: expect.stringMatching(sentence),
  })
})

test('a long body is cut', async () => {
  const url = await serve((_, response) => response.end('x'.repeat(1_000_000)))
  const result = await (await open()).result('web_fetch', { url })
  expect(result).toMatchObject({ size: 262_144, truncated: true })
  expect(String(result.body)).toHaveLength(262_144)
})

test.each<[string, RequestListener]>([
  ['never answers', () => {}],
  ['never finishes its body', (_, response) => void response.write('x')],
])('a server that %s is left after the timeout', async (_what, listener) => {
  const url = await serve(listener)
  const outcome = await (await open()).outcome('web_fetch', { url, timeout: 200 })
  expect(outcome).toEqual({ status: 'failed', error: 'No complete answer within 200 ms' })
})

test('a refused connection is told with its cause', async () => {
  const url = await serve(() => {})
  for (const close of closers.splice(0)) close()
  expect(await (await open()).outcome('web_fetch', { url })).toMatchObject({
    error: expect.stringMatching(/ECONNREFUSED/),
  })
})

test('cancelling ends a fetch', async () => {
  const url = await serve(() => {})
  const abort = new AbortController()
  const call = caller(await temporaryWorkspace(), standardTools({ allowPrivateNetwork: true }), abort.signal)
  const run = call.outcome('web_fetch', { url })
  setTimeout(() => abort.abort(), 20)
  await expect(run).rejects.toMatchObject({ name: 'AbortError' })
})

test.each([
  ['PUT', { idempotent: true }, 'the-key'],
  ['PUT', {}, undefined],
  ['GET', { idempotent: true }, undefined],
])('a %s with %j carries the key of its call: %s', async (method, more, expected) => {
  let key: unknown
  const url = await serve((request, response) => {
    key = request.headers['idempotency-key']
    response.end()
  })
  const tools = standardTools({ allowPrivateNetwork: true })
  const context = { ...HOLDER, workspace: await temporaryWorkspace(), signal: new AbortController().signal }

  await tools.run(
    { callId: 'c', name: 'web_fetch', input: { url, method, ...more } },
    { ...context, idempotencyKey: 'the-key' },
  )

  expect(key).toBe(expected)
})
