/**
 * What other doors read of Neolith.
 */
import { expect, test } from 'vitest'
import { neolithView } from '../../../src/neolith/view.js'
import type { FakeNeolith } from '../../support/fake-neolith.js'
import { clientOf, startNeolith } from './neolith-fixture.js'

const FIGURES = {
  messagesPerMinute: 60,
  sent: 1,
  received: 2,
  failedCalls: 3,
  breaker: 'closed',
  reporting: false,
} as const
const viewOf = (neolith: FakeNeolith) =>
  neolithView({ client: clientOf(neolith, { retryAttempts: 1 }), scopes: ['*'], traffic: () => FIGURES })

test('channels are shown, one by one too, after one sign-in', async () => {
  const neolith = await startNeolith()
  const view = viewOf(neolith)

  expect((await view.channels()).map(({ id }) => id)).toEqual(['chan-1', 'dm-1'])
  expect(await view.channel('dm-1')).toMatchObject({ type: 'DM' })
  expect(await view.channel('elsewhere')).toBeUndefined()
  expect(await view.traffic()).toEqual(FIGURES)
  expect(neolith.calls('POST /api/daemon/auth')).toHaveLength(1)
})

test('a Neolith that cannot be asked is a service that is not available, with the reason', async () => {
  const neolith = await startNeolith()
  neolith.status = 'OFFLINE'
  const view = viewOf(neolith)
  await expect(view.channels()).rejects.toMatchObject({
    code: 'unavailable',
    details: { reason: expect.stringContaining('DAEMON_DISABLED') },
  })
  neolith.status = 'ONLINE'

  expect(await view.channels()).toHaveLength(2)
})
