/**
 * Row W-43: every change of a session's status is told to those who watch it, with the session as it is then.
 */
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import WebSocket from 'ws'
import { type House, openHouse } from '../http/http-fixture.js'
import { RawClient, token } from './edge-fixture.js'

let house: House
beforeAll(async () => {
  house = await openHouse()
})

async function client(sub: string): Promise<RawClient> {
  const headers = { authorization: `Bearer ${await token({ sub, claims: { tenant: 'acme' } })}` }
  const raw = new RawClient(new WebSocket(house.url.replace('http', 'ws'), { headers }))
  onTestFinished(() => raw.socket.terminate())
  await raw.type('health_check_response')
  return raw
}

test('W-43: pausing, resuming, completing, stopping and failing are told with the session', async () => {
  const raw = await client('alice')
  const [completes, stops, fails] = [
    await raw.spawn({ task: '{"count":1}' }),
    await raw.spawn({ task: '{"count":1}' }),
    await raw.spawn({ task: '{"count":1}' }),
  ]
  const after = async (type: string, sessionId: string, more: object = {}) => {
    const told = await raw.ask({ type, payload: { sessionId, ...more } })
    expect(told).toMatchObject({ type: 'session_status_update', sessionId, eventId: expect.any(String) })
    return (told.session as { readonly status: string }).status
  }

  expect(await after('pause_session', completes)).toBe('paused')
  expect(await after('resume_session', completes)).toBe('active')
  expect(await after('complete_session', completes)).toBe('completed')
  expect(await after('stop_session', stops)).toBe('terminated')
  expect(await after('stop_session', fails, { failure: 'the disk is full' })).toBe('failed')
})

test('nobody else of the tenant is told, where the reference told everybody', async () => {
  const [owner, other] = [await client('alice'), await client('bob')]
  const sessionId = await owner.spawn({ task: '{"count":1}' })

  await owner.ask({ type: 'stop_session', payload: { sessionId } })
  await other.ask({ type: 'ping' })

  expect(JSON.stringify(other.frames)).not.toContain(sessionId)
})
