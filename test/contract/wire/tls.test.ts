/**
 * The client port with a certificate: every door behind it speaks TLS, and nothing else is heard; a new certificate is taken
 * up without a restart.
 */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { createServer } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { io } from 'socket.io-client'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import WebSocket from 'ws'
import { connect } from '../../../src/client/client.js'
import { type Authority, testAuthority } from '../../support/certificates.js'
import { AUTH, type Fixture, startEdge, token } from './edge-fixture.js'

let authority: Authority
beforeAll(() => {
  authority = testAuthority()
})
afterAll(() => authority.remove())

interface Secure extends Fixture {
  readonly port: number
  readonly files: { readonly certFile: string; readonly keyFile: string }
}

async function secureEdge(name = 'first'): Promise<Secure> {
  const files = authority.issue(name)
  const fixture = await startEdge({
    auth: AUTH,
    settings: { certificate: { ...files, passphrase: undefined }, dashboard: true },
  })
  return { ...fixture, port: fixture.edge.port, files }
}

/** A request with `fetch`'s answer, by somebody who trusts the authority. */
async function get(port: number, path: string, headers: Record<string, string> = {}) {
  const asked = request({ host: '127.0.0.1', port, path, headers, ca: authority.ca, agent: false }).end()
  const [response] = await once(asked, 'response')
  let body = ''
  for await (const piece of response) body += piece
  return { status: response.statusCode as number, body }
}

function openSocket(port: number, credential: string): WebSocket {
  const socket = new WebSocket(`wss://localhost:${port}/any/path`, {
    ...{ ca: authority.ca, headers: { authorization: `Bearer ${credential}` } },
  })
  onTestFinished(() => socket.terminate())
  return socket
}

/** Of the certificate that the port shows now. */
async function nameShown(port: number): Promise<string> {
  const socket: TLSSocket = connectTls({ host: '127.0.0.1', port, ca: authority.ca })
  await once(socket, 'secureConnect')
  const { CN } = socket.getPeerCertificate().subject
  socket.destroy()
  return String(CN)
}

test('W-01: a WebSocket opens by wss at any path, and the SDK works through it as without', async () => {
  const { port } = await secureEdge()
  const credential = await token()
  const raw = openSocket(port, credential)
  const [greeting] = await once(raw, 'message')
  class Trusting extends WebSocket {
    constructor(url: string) {
      super(url, { ca: authority.ca })
    }
  }
  const client = await connect({ url: `wss://localhost:${port}`, token: credential, webSocket: Trusting as never })
  onTestFinished(() => client.close())

  const session = await client.spawn({ task: 'wait', sessionType: 'echo' })

  expect(JSON.parse(String(greeting))).toEqual({ type: 'health_check_response', healthy: true })
  expect(await client.status(session.id)).toMatchObject({ id: session.id })
})

test('HTTP, the health check and the dashboard answer by https, and credentials are asked for as ever', async () => {
  const { port } = await secureEdge()
  const authorization = `Bearer ${await token()}`

  expect((await get(port, '/health')).status).toBe(200)
  expect((await get(port, '/api/whoami')).status).toBe(401)
  expect(JSON.parse((await get(port, '/api/whoami', { authorization })).body)).toMatchObject({ subject: 'alice' })
  expect((await get(port, '/ui/')).body).not.toBe('Not Found')
  expect((await get(port, '/else')).status).toBe(404)
})

test.each(['websocket', 'polling'])('Socket.IO works over TLS by %s', async (transport) => {
  const { port } = await secureEdge()
  const socket = io(`https://localhost:${port}`, {
    ...{ forceNew: true, reconnection: false, transports: [transport], auth: { token: await token() } },
    ca: authority.ca,
  } as object)
  onTestFinished(() => void socket.close())
  const pong = new Promise((resolve) => socket.on('pong', resolve))
  await new Promise((resolve) => socket.on('connect', () => resolve(undefined)))

  socket.emit('ping')

  expect(await pong).toMatchObject({ type: 'pong' })
})

test('without TLS, with a version that is broken, or without trust in the authority, nothing is told', async () => {
  const { port, url } = await secureEdge()
  const refused = async (open: () => WebSocket) => {
    const socket = open()
    return new Promise((resolve) => socket.on('error', resolve))
  }
  const old = connectTls({
    ...{ host: '127.0.0.1', port, ca: authority.ca, ciphers: 'DEFAULT@SECLEVEL=0' },
    ...{ minVersion: 'TLSv1', maxVersion: 'TLSv1.1' },
  })

  const [error] = await once(old, 'error')
  expect(error).toMatchObject({ code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' })
  await expect(fetch(`http://127.0.0.1:${port}/health`)).rejects.toThrow()
  expect(await refused(() => new WebSocket(url))).toBeInstanceOf(Error)
  expect(await refused(() => new WebSocket(url.replace('ws', 'wss')))).toMatchObject({
    code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  })
})

test('a new certificate is shown from now on, and connections from before go on', async () => {
  const { edge, port } = await secureEdge('first')
  const raw = openSocket(port, await token())
  await once(raw, 'message')
  const first = await nameShown(port)

  authority.issue('second')
  await edge.reload(AUTH)

  expect([first, await nameShown(port), await nameShown(port)]).toEqual(['first', 'second', 'second'])
  raw.send('{"type":"ping"}')
  expect(String((await once(raw, 'message'))[0])).toBe('{"type":"pong"}')
  const later = openSocket(port, await token())
  await once(later, 'message')
})

test('what renews the files need not tell anybody, and half a renewal changes nothing and is said once', async () => {
  const files = authority.issue('first')
  const warn = vi.fn()
  const certificate = { ...files, passphrase: undefined, lookMs: 20 }
  const { edge } = await startEdge({ auth: AUTH, settings: { certificate }, log: { warn } })
  const first = await nameShown(edge.port)
  writeFileSync(files.keyFile, 'half written')
  await vi.waitFor(() => expect(warn).toHaveBeenCalled())
  await new Promise((resolve) => setTimeout(resolve, 200))
  const [during, complaints] = [await nameShown(edge.port), warn.mock.calls.length]

  authority.issue('second')

  await vi.waitFor(async () => expect(await nameShown(edge.port)).toBe('second'), { timeout: 15_000 })
  expect([first, during, complaints]).toEqual(['first', 'first', 1])
})

test('certificates may be renewed many times, and all doors of the last one stop with the edge', async () => {
  const { edge, port } = await secureEdge('0')
  const closed: Promise<unknown>[] = []
  for (let renewal = 1; renewal <= 7; renewal++) {
    const raw = openSocket(port, await token())
    await once(raw, 'message')
    closed.push(once(raw, 'close'))
    authority.issue(String(renewal))
    await edge.reload(AUTH)
  }

  expect(await nameShown(port)).toBe('7')
  await edge.stop()
  await Promise.all(closed)
  const again = createServer().listen(port, '127.0.0.1')
  onTestFinished(() => void again.close())
  await once(again, 'listening')
})

test('files that are not a certificate and its key are named, and the one in use stays', async () => {
  const { edge, port, files } = await secureEdge('first')
  writeFileSync(files.keyFile, 'nonsense')

  await expect(edge.reload(AUTH)).rejects.toThrow(
    `${files.certFile} and ${files.keyFile} are not a certificate and its key`,
  )

  expect(await nameShown(port)).toBe('first')
  const missing = { certFile: '/nonexistent.pem', keyFile: files.keyFile, passphrase: undefined }
  await expect(startEdge({ settings: { certificate: missing } })).rejects.toThrow('/nonexistent.pem')
})

test('a port that another process has is not shared with it', async () => {
  const { port, files } = await secureEdge()

  await expect(startEdge({ settings: { port, certificate: { ...files, passphrase: undefined } } })).rejects.toThrow(
    `cannot listen on 127.0.0.1:${port}`,
  )
})
