/**
 * How the HTTP door answers whatever is asked: problems from the one table, methods, origins, heads, paths it does not know
 * (rows H-04, H-09, H-10).
 */
import { expect, test } from 'vitest'
import WebSocket from 'ws'
import { AUTH, startEdge, token } from '../wire/edge-fixture.js'
import { Requester } from './http-fixture.js'

const ORIGIN = 'https://app.example.com'

async function door(settings = {}) {
  const edge = await startEdge({ auth: AUTH, settings })
  const url = edge.url.replace('ws:', 'http:')
  const bearer = { authorization: `Bearer ${await token({ claims: { tenant: 'acme', role: 'admin' } })}` }
  return { edge, url, nobody: new Requester(url, {}), alice: new Requester(url, bearer) }
}

test('without a credential there is a problem of status 401, with the reason that a WebSocket gets', async () => {
  const { nobody } = await door()

  const { status, headers, body } = await nobody.get('/api/sessions')

  expect(status).toBe(401)
  expect(headers.get('content-type')).toBe('application/problem+json')
  expect(headers.get('www-authenticate')).toBe('Bearer')
  expect(body).toEqual({
    ...{ type: '/api/docs#credentials_missing', title: 'Credentials missing', status: 401 },
    ...{ detail: 'credentials_missing', error: 'credentials_missing', code: 'credentials_missing', retryable: false },
  })
})

test('a credential comes in any of its four places', async () => {
  const { url } = await door()
  const key = 'k'.repeat(32)
  const edge = await startEdge({ auth: { ...AUTH, apiKeys: [{ key, clientId: 'acme', role: 'admin' }] } })
  const keyed = edge.url.replace('ws:', 'http:')
  const signed = await token()

  const replies = await Promise.all([
    new Requester(url, { authorization: `Bearer ${signed}` }).get('/api/whoami'),
    new Requester(url, {}).get(`/api/whoami?token=${signed}`),
    new Requester(keyed, { 'x-api-key': key }).get('/api/whoami'),
    new Requester(keyed, {}).get(`/api/whoami?apiKey=${key}`),
    // As the reference's bridge sends its secret.
    new Requester(keyed, { authorization: `Bearer ${key}` }).get('/api/whoami'),
  ])

  expect(replies.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
  expect(replies[2]?.body).toEqual({ tenant: 'acme', subject: 'acme', role: 'admin', scopes: null, expiresAt: null })
})

test('a token is renewed over HTTP as over a WebSocket', async () => {
  const { url, alice } = await door()

  const renewed = await alice.post('/api/token')

  const again = await new Requester(url, { authorization: `Bearer ${renewed.body.token}` }).get('/api/whoami')
  expect(again.body).toMatchObject({ tenant: 'acme', role: 'admin', expiresAt: renewed.body.expiresAt })
})

test('what is asked wrong is said, and never a failure of ours', async () => {
  const { alice } = await door()

  expect(await alice.post('/api/sessions', '{')).toMatchObject({ status: 400, body: { code: 'invalid_message' } })
  expect(await alice.post('/api/sessions', {})).toMatchObject({ status: 422, body: { code: 'invalid_payload' } })
  expect(await alice.post('/api/sessions', '[]')).toMatchObject({ status: 422 })
  expect(await alice.get('/api/sessions?limit=0')).toMatchObject({ status: 422 })
  expect(await alice.get('/api/sessions?limit=many')).toMatchObject({ status: 422 })
  expect(await alice.get('/api/sessions/%FF')).toMatchObject({ status: 404 })
  expect(await alice.get(`/api/sessions/${'x'.repeat(129)}`)).toMatchObject({ status: 422 })
  expect((await alice.get('/api/sessions?limit=0')).body.detail).toContain('limit: ')
})

test('a body that is larger than a message may be is refused', async () => {
  const { alice } = await door({ maxPayloadBytes: 1_000 })

  const refused = await alice.post('/api/sessions', { task: 'x'.repeat(2_000) })

  expect(refused).toMatchObject({ status: 413, body: { code: 'message_too_large' } })
})

test('messages over HTTP and over WebSockets are counted together', async () => {
  const limits = { messages: { max: 3, windowMs: 60_000 }, connections: { perPrincipal: 10, perEdge: 10 } }
  const { edge, alice } = await door({ limits })
  const socket = await edge.client({ token: await token({ claims: { tenant: 'acme', role: 'admin' } }) })
  await socket.ask({ type: 'ping' })

  const statuses = []
  for (let n = 0; n < 3; n++) statuses.push((await alice.get('/api/whoami')).status)
  const refused = await alice.get('/api/whoami')

  expect(statuses).toEqual([200, 200, 429])
  expect(refused).toMatchObject({ body: { code: 'rate_limit_exceeded', retryAfterMs: expect.any(Number) } })
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
  expect(await socket.ask({ type: 'ping' })).toMatchObject({ code: 'rate_limit_exceeded' })
})

test('a method that a path does not take is told which ones it does', async () => {
  const { alice } = await door()

  const { status, headers, body } = await alice.ask('PUT', '/api/sessions')

  expect(status).toBe(405)
  expect(headers.get('allow')).toBe('GET, POST')
  expect(body.code).toBe('method_not_allowed')
})

test('HEAD answers like GET, without a body', async () => {
  const { alice } = await door()

  const [head, get] = [await alice.ask('HEAD', '/api/sessions'), await alice.get('/api/sessions')]

  expect(head).toMatchObject({ status: 200, body: '' })
  expect(head.headers.get('content-length')).toBe(get.headers.get('content-length'))
})

test('other paths are 404 as text, and as a problem below /api (H-10)', async () => {
  const { alice, nobody, edge } = await door()

  expect(await nobody.get('/somewhere')).toMatchObject({ status: 404, body: 'Not Found' })
  expect(await alice.get('/api/somewhere')).toMatchObject({ status: 404, body: { code: 'not_found' } })
  // A WebSocket is let in at any path, these included.
  const socket = new WebSocket(`${edge.url}/api/sessions?token=${await token()}`)
  const greeting = await new Promise((resolve) => socket.once('message', (data) => resolve(JSON.parse(String(data)))))
  expect(greeting).toEqual({ type: 'health_check_response', healthy: true })
  socket.terminate()
})

test('pages of configured origins read answers and problems, and may send what the door takes (H-09)', async () => {
  const { url, alice } = await door({ corsOrigins: [ORIGIN] })
  const asking = { origin: ORIGIN, 'access-control-request-method': 'POST' }

  const preflight = await new Requester(url, {}).ask('OPTIONS', '/api/sessions', undefined, asking)
  const answer = await alice.get('/api/sessions', { origin: ORIGIN })
  const problem = await alice.get('/api/sessions/none', { origin: ORIGIN })
  const foreign = await alice.get('/api/sessions', { origin: 'https://evil.example.com' })

  expect(preflight.status).toBe(204)
  expect(preflight.headers.get('access-control-allow-methods')).toContain('DELETE')
  expect(preflight.headers.get('access-control-allow-headers')).toContain('idempotency-key')
  expect(preflight.headers.get('access-control-allow-origin')).toBe(ORIGIN)
  expect(answer.headers.get('access-control-allow-origin')).toBe(ORIGIN)
  expect(answer.headers.get('access-control-expose-headers')).toContain('retry-after')
  expect(problem).toMatchObject({ status: 404 })
  expect(problem.headers.get('access-control-allow-origin')).toBe(ORIGIN)
  expect(foreign.headers.get('access-control-allow-origin')).toBeNull()
})

test('without configured origins no page may read answers', async () => {
  const { alice } = await door()

  const answer = await alice.get('/api/sessions', { origin: ORIGIN })

  expect(answer.headers.get('access-control-allow-origin')).toBeNull()
})

test('without a secret only this machine may ask, and no page of another origin', async () => {
  const edge = await startEdge()
  const url = edge.url.replace('ws:', 'http:')

  expect(await new Requester(url, {}).get('/api/whoami')).toMatchObject({ status: 200, body: { tenant: 'local' } })
  expect(await new Requester(url, { origin: 'https://evil.example.com' }).get('/api/whoami')).toMatchObject({
    status: 401,
  })
  expect(await new Requester(url, { 'x-forwarded-for': '10.0.0.1' }).get('/api/whoami')).toMatchObject({ status: 401 })
})
