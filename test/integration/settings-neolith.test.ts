/**
 * The settings of Neolith take effect.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect, onTestFinished, vi } from 'vitest'
import { API_KEY, API_SECRET, FakeNeolith, USER } from '../support/fake-neolith.js'
import { answered } from '../support/neolith-task.js'
import { effect, PATIENCE, settingsFolder, startWith } from '../support/settings-fixture.js'

const folder = settingsFolder()
afterAll(() => folder.remove())

async function startNeolith(): Promise<FakeNeolith> {
  const neolith = await FakeNeolith.start()
  onTestFinished(() => neolith.stop())
  return neolith
}

effect(
  ['NEOLITH_API_URL', 'NEOLITH_API_KEY', 'NEOLITH_API_SECRET'],
  'the service signs in there with both; with the key alone it does not',
  async () => {
    const neolith = await startNeolith()
    const half = await startWith(folder.path, { NEOLITH_API_URL: neolith.url, NEOLITH_API_KEY: API_KEY })
    await sleep(500)
    await half.stop()
    expect(neolith.requests).toEqual([])

    const whole = await startWith(folder.path, {
      ...{ NEOLITH_API_URL: neolith.url, NEOLITH_API_KEY: API_KEY, NEOLITH_API_SECRET: API_SECRET },
    })
    onTestFinished(whole.stop)
    await vi.waitFor(() => expect(neolith.heartbeats.length).toBeGreaterThan(0), PATIENCE)

    expect(neolith.calls('POST /api/daemon/auth')[0]?.body).toMatchObject({ apiKey: API_KEY, apiSecret: API_SECRET })
  },
)

effect(['NEOLITH_SESSION_TYPE'], 'what people ask for there is done by sessions of this type', async () => {
  const neolith = await startNeolith()
  const { stop } = await startWith(folder.path, {
    ...{ NEOLITH_API_URL: neolith.url, NEOLITH_API_KEY: API_KEY, NEOLITH_API_SECRET: API_SECRET },
    NEOLITH_SESSION_TYPE: 'echo',
  })
  onTestFinished(stop)

  const answers = await answered(neolith, neolith.say(`@${USER} only an echo says this`))

  expect(answers.at(-1)?.content).toBe('only an echo says this')
})
