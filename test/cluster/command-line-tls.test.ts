/**
 * The command line with a daemon that speaks TLS, whose certificate is for another name and of an authority that this
 * machine does not know: it is recognised by the settings that both read.
 */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { type Authority, testAuthority } from '../support/certificates.js'
import { Shell } from '../support/command-line.js'
import { freePort } from '../support/free-port.js'

let authority: Authority
let shell: Shell
let url: string
beforeAll(async () => {
  authority = testAuthority()
  const { certFile, keyFile } = authority.issue('agents.example.com', 'DNS:agents.example.com')
  const port = await freePort()
  url = `wss://127.0.0.1:${port}`
  shell = await Shell.open({
    ...{ DAEMON_JWT_SECRET: 'a secret of the command line test, long enough', DAEMON_PORT: String(port) },
    ...{ DAEMON_TLS_CERT_FILE: certFile, DAEMON_TLS_KEY_FILE: keyFile },
  })
  await shell.startDaemon()
})
afterAll(async () => {
  await shell.close()
  authority.remove()
})

test('health, status and spawn work with the settings alone', async () => {
  const [health, status, spawned] = await Promise.all([
    shell.run('health', '--json'),
    shell.run('status', '--json'),
    shell.run('spawn', '{"count":1}', '--type', 'echo', '--json'),
  ])

  expect(JSON.parse(health.stdout)).toMatchObject({ healthy: true, url: expect.stringMatching(/^https:/) })
  expect(JSON.parse(status.stdout)).toMatchObject({ name: 'orchestrator-daemon' })
  expect([health.code, status.code, spawned.code]).toEqual([0, 0, 0])
})

test('an address of the options is not trusted for that: its certificate must be good', async () => {
  const { code, stdout } = await shell.run('status', '--url', url)

  expect([code, stdout]).toEqual([1, expect.stringContaining('nothing answers')])
})

test('another certificate than that of the settings is not taken for it', async () => {
  const other = testAuthority()
  onTestFinished(() => other.remove())
  const { certFile, keyFile } = other.issue('agents.example.com', 'DNS:agents.example.com')
  const asOther = (...args: string[]) =>
    shell.launchWith({ DAEMON_TLS_CERT_FILE: certFile, DAEMON_TLS_KEY_FILE: keyFile }, ...args).ended

  const [own, sessions, health] = await Promise.all([
    shell.run('sessions'),
    asOther('sessions'),
    asOther('health', '--retries', '1'),
  ])

  expect([own.code, sessions.code, health.code], `${sessions.stdout} ${sessions.stderr}`).toEqual([0, 1, 1])
})
