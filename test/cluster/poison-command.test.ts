/**
 * A command whose every attempt brings the whole process down: here its model call ends in kill -9.
 */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { connect } from '../../src/client/client.js'
import type { TaskEnd } from '../../src/client/session.js'
import { ClusterProcess } from '../support/cluster-process.js'
import { freePort } from '../support/free-port.js'

/** The first try, and the two that follow a crash. */
const TRIES = 3
const START_MS = 60_000

test('a step that kills its process each time is set aside, and the session and the service go on', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'poison-'))
  let daemon: ClusterProcess | undefined
  let asked = 0
  const vendor = createServer((request) => {
    asked += 1
    daemon?.kill('SIGKILL')
    request.destroy()
  }).listen(0, '127.0.0.1')
  await once(vendor, 'listening')
  const port = await freePort()
  const start = async () => {
    daemon = new ClusterProcess({
      args: ['start', '--port', String(port)],
      cwd: directory,
      env: {
        METRICS_PORT: '0',
        OPENAI_API_KEY: 'any',
        OPENAI_BASE_URL: `http://127.0.0.1:${(vendor.address() as AddressInfo).port}`,
      },
    })
    // A process that is killed before it says that it is ready has been killed by the command: that is the case at hand.
    await Promise.race([daemon.waitForLine(/"msg":"ready"/, START_MS), daemon.ended]).catch(() => undefined)
    return daemon
  }
  let current = await start()
  await current.waitForLine(/"msg":"ready"/, START_MS)
  const client = await connect({ url: `ws://127.0.0.1:${port}`, connectTimeoutMs: START_MS })
  onTestFinished(async () => {
    client.close()
    await daemon?.stop()
    vendor.close()
    await rm(directory, { recursive: true, force: true })
  })
  const session = await client.spawn({ sessionType: 'llm', task: 'poison' })
  let end: TaskEnd | undefined
  void session.result().then((result) => {
    end = result
  })

  // More starts than tries would mean that it never ends.
  for (let starts = 1; starts <= TRIES + 2 && !end; starts++) {
    await Promise.race([current.ended, session.result()])
    if (!current.running) current = await start()
  }

  expect(end).toMatchObject({ type: 'task_failed', code: 'quarantined' })
  expect(asked).toBe(TRIES)
  expect(current.running).toBe(true)
  expect((await session.status()).status).toBe('active')
})
