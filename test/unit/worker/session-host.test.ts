/**
 * What a host makes of a session that the store does not hand out.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { AcceptedCommand, Claim } from '../../../src/bus/bus.js'
import { newSessionId } from '../../../src/protocol/ids.js'
import { SessionHost } from '../../../src/worker/session-host.js'
import type { SessionServices } from '../../../src/worker/session-services.js'

const claim: Claim = { shard: 5, owner: 'w@1', epoch: 3 }
const sessionId = newSessionId(5)

const accepted = (commandId: string): AcceptedCommand => ({
  submission: { sessionId, commandId, type: 'execute', tenant: 't', outbox: 'e@1-1', fresh: false, body: '{}' },
  acceptance: { sessionId, commandId, status: 'new', detail: '' },
})

test('commands that come while a session is loaded fail nobody when the store goes away; it is loaded anew', async () => {
  const failures: unknown[] = []
  const note = (error: unknown) => void failures.push(error)
  process.on('unhandledRejection', note)
  onTestFinished(() => void process.off('unhandledRejection', note))
  const onLost = vi.fn()
  const loadSession = async () => {
    await turn()
    throw new Error('the store is away')
  }
  const logger = { debug() {}, info() {}, warn() {}, error() {} }
  const services = { loadSession, logger } as unknown as SessionServices
  const host = new SessionHost({ services, onLost, onAwake: () => undefined, onIdle: () => undefined })

  host.deliver(claim, [accepted('a'), accepted('b')])
  await vi.waitFor(() => expect(onLost).toHaveBeenCalled())
  await turn()
  await turn()

  expect(onLost.mock.calls).toMatchObject([[claim, sessionId, { reason: 'unreachable' }]])
  expect(failures).toEqual([])
})
