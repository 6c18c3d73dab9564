/**
 * Settings of scheduled tasks take effect.
 */
import { afterAll, beforeAll, expect } from 'vitest'
import { type Client, connect } from '../../src/client/client.js'
import { effect, RawClient, type RunningDaemon, settingsFolder, startWith } from '../support/settings-fixture.js'

const folder = settingsFolder()
let running: RunningDaemon
let client: Client

beforeAll(async () => {
  running = await startWith(folder.path, {
    SCHEDULE_MAX_WAITING: '2',
    SCHEDULE_MIN_INTERVAL: '3600000',
    SHARD_COUNT: '4',
  })
  client = await connect({ url: `ws://127.0.0.1:${running.daemon.port}` })
})
afterAll(async () => {
  client?.close()
  await running?.stop()
  folder.remove()
})

const refusal = (asked: Promise<unknown>): Promise<unknown> =>
  asked.then(
    () => undefined,
    (error: unknown) => error,
  )

effect(['SCHEDULE_MIN_INTERVAL'], 'a task that would be repeated more often is refused', async () => {
  const repeated = (cron: string) => client.schedule({ task: { description: 'x', repeat: { cron } } })

  expect(await refusal(repeated('*/30 * * * *'))).toMatchObject({
    code: 'schedule_invalid',
    message: expect.stringContaining('3600000 ms'),
  })
  const { scheduleId } = await repeated('0 * * * *')
  await client.cancelScheduled(scheduleId)
})

effect(['SCHEDULE_MAX_WAITING'], 'a tenant has no more tasks that wait', async () => {
  const delayed = () => client.schedule({ task: { description: 'x', delayMs: 3_600_000 } })
  await expect.poll(async () => (await client.tasks()).tasks.length).toBe(0)
  await delayed()
  await delayed()

  // The client would try again for a minute: others may end meanwhile.
  const other = await RawClient.connect(`ws://127.0.0.1:${running.daemon.port}`)
  const task = { description: 'x', delayMs: 3_600_000 }
  const refused = await other.ask({ type: 'spawn_session', payload: { task } }, 'error')
  other.close()

  expect(refused).toMatchObject({ code: 'schedule_limit', retryable: true })
})
