/**
 * Commands in a container: its image says where a daemon is to listen, and only what listens needs a secret for that.
 * Row C-25 of docs/compatibility.md.
 */
import { expect, onTestFinished, test } from 'vitest'
import { Shell } from '../support/command-line.js'
import { imageEnvironment } from '../support/container-settings.js'
import { freePort } from '../support/free-port.js'

test('migrate, health, stop and logs do their work without a secret, and start says that it needs one', async () => {
  const { DAEMON_HOST = '', METRICS_HOST = '' } = imageEnvironment()
  const shell = await Shell.open({ DAEMON_HOST, METRICS_HOST, DAEMON_PORT: String(await freePort()) })
  onTestFinished(() => shell.close())

  const [migrated, health, stopped, logs, started] = [
    await shell.run('migrate', '--json'),
    await shell.run('health', '--retries', '1'),
    await shell.run('stop'),
    await shell.run('logs'),
    await shell.run('start'),
  ]

  expect(DAEMON_HOST).toBe('0.0.0.0')
  expect([migrated.code, migrated.stderr]).toEqual([0, ''])
  expect(JSON.parse(migrated.stdout).applied.length).toBeGreaterThan(0)
  expect([health.code, health.stdout]).toEqual([1, expect.stringContaining('nothing answers')])
  expect(stopped.code).toBe(0)
  expect(logs.stderr).toContain('there is no log file')
  expect([started.code, started.stderr]).toEqual([1, expect.stringContaining('DAEMON_JWT_SECRET is missing')])
})
