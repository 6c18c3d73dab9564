/**
 * A certificate that is renewed under a running daemon: both of its ports show the new one to whoever comes, and who was there
 * before stays. Told by the files alone, and by SIGHUP, in the foreground and in the background.
 */
import { once } from 'node:events'
import { connect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import WebSocket from 'ws'
import { type Authority, testAuthority } from '../support/certificates.js'
import { Shell } from '../support/command-line.js'
import { freePort } from '../support/free-port.js'

const PATIENCE = { timeout: 20_000, interval: 50 } as const
const KEY = 'a-key-of-at-least-thirty-two-characters'

let authority: Authority
beforeAll(() => {
  authority = testAuthority()
})
afterAll(() => authority.remove())

/** Of the certificate that a port shows now. */
async function nameShown(port: number): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, ca: authority.ca })
  await once(socket, 'secureConnect')
  const { CN } = socket.getPeerCertificate().subject
  socket.destroy()
  return String(CN)
}

async function shellWithCertificate() {
  const { certFile, keyFile } = authority.issue('one')
  const [port, metricsPort] = [await freePort(), await freePort()]
  const shell = await Shell.open({
    ...{ DAEMON_PORT: String(port), DAEMON_TLS_CERT_FILE: certFile, DAEMON_TLS_KEY_FILE: keyFile, METRICS_TLS: 'true' },
    DAEMON_AUTH_API_KEYS: JSON.stringify([{ key: KEY, clientId: 'ci' }]),
  })
  onTestFinished(() => shell.close())
  Object.assign(shell.env, { METRICS_PORT: String(metricsPort) })
  return { shell, port, metricsPort }
}

/** A client that stays, and answers whether it is still served. */
async function guest(port: number) {
  const socket = new WebSocket(`wss://127.0.0.1:${port}`, { ca: authority.ca, headers: { 'x-api-key': KEY } })
  onTestFinished(() => socket.terminate())
  const frames: string[] = []
  socket.on('message', (data) => frames.push(String(data)))
  await once(socket, 'open')
  return {
    isServed: async (): Promise<boolean> => {
      const before = frames.length
      socket.send('{"type":"ping"}')
      await vi.waitUntil(() => frames.slice(before).some((frame) => frame.includes('"pong"')), PATIENCE)
      return socket.readyState === WebSocket.OPEN
    },
  }
}

const shown = async ({ port, metricsPort }: { port: number; metricsPort: number }) => [
  await nameShown(port),
  await nameShown(metricsPort),
]

describe('a renewed certificate', () => {
  test('is seen by itself, and again after SIGHUP; connections from before go on', async () => {
    const { shell, ...ports } = await shellWithCertificate()
    const daemon = await shell.startDaemon()
    const early = await guest(ports.port)
    expect(await shown(ports)).toEqual(['one', 'one'])

    authority.issue('two')
    await vi.waitFor(async () => expect(await shown(ports)).toEqual(['two', 'two']), PATIENCE)
    const later = await guest(ports.port)
    authority.issue('three')
    daemon.kill('SIGHUP')
    await vi.waitFor(async () => expect(await shown(ports)).toEqual(['three', 'three']), PATIENCE)

    expect([await early.isServed(), await later.isServed()]).toEqual([true, true])
    expect(daemon.lines.join('\n')).toMatch(/"cause":"SIGHUP"/)
    daemon.kill('SIGTERM')
    expect(await daemon.ended).toBe(0)
  })

  test('is taken up by a daemon in the background, whose supervisor is told', async () => {
    const { shell, ...ports } = await shellWithCertificate()
    expect(await shell.run('start', '--detach')).toMatchObject({ code: 0 })
    const [pid = 0] = await shell.pids()
    const early = await guest(ports.port)

    authority.issue('two')
    process.kill(pid, 'SIGHUP')

    await vi.waitFor(async () => expect(await shown(ports)).toEqual(['two', 'two']), PATIENCE)
    expect(await early.isServed()).toBe(true)
    expect(await shell.pids()).toEqual([pid])
  })
})
