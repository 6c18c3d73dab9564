/**
 * The stop of a process is bounded, whatever its parts do.
 */
import { expect, test } from 'vitest'
import { Lifecycle } from '../../src/assembly/lifecycle.js'
import { silentLog } from '../../src/telemetry/log.js'

test('a part that does not stop within DAEMON_SHUTDOWN_TIMEOUT is passed over, and those below it stop', async () => {
  const late: object[] = []
  const lifecycle = new Lifecycle({ ...silentLog, warn: (fields) => late.push(fields) }, 20)
  const stopped: string[] = []
  lifecycle.started('database', async () => {
    stopped.push('database')
  })
  lifecycle.started('worker', () => new Promise(() => undefined))

  await lifecycle.stop()

  expect(late).toEqual([{ part: 'worker', timeoutMs: 20 }])
  expect(stopped).toEqual(['database'])
})
