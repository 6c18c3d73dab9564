/**
 * What the client of Neolith does when Neolith does not work: it asks again where that is harmless, and nowhere else.
 */
import { expect, test } from 'vitest'
import type { NeolithApiClient } from '../../../src/neolith/api-client.js'
import { NeolithError } from '../../../src/neolith/api-client.js'
import type { FakeNeolith, Fault } from '../../support/fake-neolith.js'
import { clientOf, SLOW, signedIn, startNeolith } from './neolith-fixture.js'

const SEND = 'POST /api/daemon/messages'
const CONFIG = 'GET /api/daemon/config'
const failureOf = async (asked: Promise<unknown>): Promise<NeolithError> => {
  const failure = await asked.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(failure instanceof NeolithError)) throw new Error(`no error of Neolith: ${String(failure)}`)
  return failure
}

const UNSURE: readonly (readonly [what: string, fault: Fault, outcome: string])[] = [
  ['an error of the server', { kind: 'status', status: 500 }, 'server_error'],
  ['a gateway without a server', { kind: 'status', status: 502, body: '<html>' }, 'server_error'],
  ['an answer that is no JSON', { kind: 'garbage' }, 'invalid_answer'],
  ['JSON that says nothing', { kind: 'empty' }, 'invalid_answer'],
  ['a cut connection', { kind: 'cut' }, 'connection_lost'],
  ['a connection that is cut after the work', { kind: 'cut', done: true }, 'connection_lost'],
  ['an answer that does not come in time', SLOW, 'timeout'],
]

test.each(UNSURE)('after %s a question is asked again', async (_what, fault, outcome) => {
  const neolith = await startNeolith()
  const { client, outcomes } = await signedIn(neolith)
  neolith.fail(CONFIG, fault, fault)

  expect((await client.getConfig()).orchestrator.role).toBe('helper')

  expect(outcomes).toEqual([outcome, outcome, 'ok'])
})

test.each(UNSURE)('after %s a message is not sent again, and may have arrived', async (_what, fault, outcome) => {
  const neolith = await startNeolith()
  const { client, outcomes } = await signedIn(neolith)
  neolith.fail(SEND, fault)

  const failure = await failureOf(client.sendMessage('chan-1', 'once'))

  expect(failure).toMatchObject({ mayBeTaken: true, retryable: true, call: 'send' })
  expect(outcomes).toEqual([outcome])
  expect(neolith.calls(SEND)).toHaveLength(1)
  expect(neolith.messages.length).toBeLessThanOrEqual(1)
})

test('a question that fails again and again is given up after the attempts that were allowed', async () => {
  const neolith = await startNeolith()
  const { client } = await signedIn(neolith, { retryAttempts: 2 })
  neolith.fail(CONFIG, { kind: 'cut' }, { kind: 'cut' }, { kind: 'cut' })

  expect(await failureOf(client.getConfig())).toMatchObject({ code: 'CONNECTION_LOST' })

  expect(neolith.calls(CONFIG)).toHaveLength(2)
})

test('where nobody listens a message is tried again: it cannot have arrived', async () => {
  const neolith = await startNeolith()
  const { client, outcomes } = await signedIn(neolith)
  await neolith.stop()

  expect(await failureOf(client.sendMessage('chan-1', 'x'))).toMatchObject({ code: 'UNREACHABLE', mayBeTaken: false })

  expect(outcomes).toEqual(['unreachable', 'unreachable', 'unreachable'])
})

test.each([
  ['a question', (client: NeolithApiClient) => client.getConfig()],
  ['a message', (client: NeolithApiClient) => client.sendMessage('chan-1', 'once')],
])('a token that is refused in the middle is replaced once, and %s goes through', async (_what, ask) => {
  const neolith = await startNeolith()
  const { client, outcomes } = await signedIn(neolith)
  neolith.revokeAccess()

  await ask(client)

  expect(outcomes).toEqual(['unauthorized', 'ok', 'ok'])
  expect(neolith.calls('POST /api/daemon/auth/refresh')).toHaveLength(1)
})

test('a token that is refused again and again is not replaced for ever', async () => {
  const neolith = await startNeolith()
  const { client } = await signedIn(neolith)
  neolith.fail(CONFIG, { kind: 'revoked' }, { kind: 'revoked' })

  expect(await failureOf(client.getConfig())).toMatchObject({ status: 401, code: 'UNAUTHORIZED', mayBeTaken: false })

  expect(neolith.calls(CONFIG)).toHaveLength(2)
})

test('many calls that are refused at once bring one new token', async () => {
  const neolith = await startNeolith()
  const { client } = await signedIn(neolith)
  neolith.revokeAccess()

  await Promise.all(Array.from({ length: 20 }, (_, i) => client.sendMessage('chan-1', `message ${i}`)))

  expect(neolith.calls('POST /api/daemon/auth/refresh')).toHaveLength(1)
  expect(neolith.messages).toHaveLength(20)
})

test('Retry-After is waited for, by every call', async () => {
  const neolith = await startNeolith()
  const { client, outcomes } = await signedIn(neolith)
  neolith.fail(SEND, { kind: 'status', status: 429, retryAfter: '1' })
  const before = performance.now()

  const sent = client.sendMessage('chan-1', 'when you are ready')
  await waitUntil(() => outcomes.length === 1)
  await client.getChannels()

  expect(performance.now() - before).toBeGreaterThan(900)
  await sent
  expect(neolith.messages).toHaveLength(1)
  const asked = neolith.requests.filter(({ at }) => at > before && at < before + 900)
  expect(asked.map(({ path }) => path)).toEqual(['/api/daemon/messages'])
})

test('a Retry-After that is too long for a call is told to its caller', async () => {
  const neolith = await startNeolith()
  const { client } = await signedIn(neolith)
  neolith.fail(CONFIG, { kind: 'status', status: 429, retryAfter: '120' })

  const failure = await failureOf(client.getConfig())

  expect(failure).toMatchObject({ status: 429, mayBeTaken: false, retryable: true, retryAfterMs: 120_000 })
  expect(neolith.calls(CONFIG)).toHaveLength(1)
  expect(await failureOf(client.getChannels())).toMatchObject({ code: 'RATE_LIMITED', status: undefined })
  expect(neolith.calls('GET /api/daemon/channels')).toHaveLength(0)
})

test('a token does not follow a redirect', async () => {
  const [neolith, elsewhere] = [await startNeolith(), await startNeolith()]
  const { client } = await signedIn(neolith)
  const { url } = elsewhere
  neolith.fail(CONFIG, { kind: 'status', status: 302, body: `{"error":"see ${url}","code":"MOVED"}` })

  expect(await failureOf(client.getConfig())).toMatchObject({ status: 302 })

  expect(elsewhere.requests).toEqual([])
})

test('a Neolith that does not work is left alone, tried by one call, and used again when it is back', async () => {
  const neolith = await startNeolith()
  const states: string[] = []
  const client = clientOf(neolith, { retryAttempts: 1 }, { onBreaker: (state) => states.push(state) })
  await client.authenticate()
  neolith.fail(CONFIG, ...Array.from({ length: 5 }, (): Fault => ({ kind: 'status', status: 500 })))

  for (let i = 0; i < 5; i++) await failureOf(client.getConfig())
  const failure = await failureOf(client.getConfig())

  expect(failure).toMatchObject({ code: 'CIRCUIT_OPEN', mayBeTaken: false, retryable: true })
  expect(neolith.calls(CONFIG)).toHaveLength(5)
  expect(client.breakerState).toBe('open')
  await new Promise((resolve) => setTimeout(resolve, (failure.retryAfterMs ?? 0) + 50))
  const both = await Promise.allSettled([client.getConfig(), client.getConfig()])
  expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
  expect(neolith.calls(CONFIG)).toHaveLength(6)
  await client.getConfig()
  expect(states).toEqual(['open', 'half-open', 'closed'])
})

test('refusals open no breaker: the server works', async () => {
  const { client } = await signedIn(await startNeolith())

  for (let i = 0; i < 8; i++) await failureOf(client.getMessages('elsewhere'))

  expect(client.breakerState).toBe('closed')
})

test('an answer without end is cut off', async () => {
  const neolith = await startNeolith()
  const { client } = await signedIn(neolith, { retryAttempts: 1, timeoutMs: 5_000 })
  longMessages(neolith)

  expect(await failureOf(client.getMessages('chan-1'))).toMatchObject({ code: 'INVALID_ANSWER' })
})

function longMessages(neolith: FakeNeolith): void {
  for (let i = 0; i < 50; i++) neolith.say('x'.repeat(100_000))
}

async function waitUntil(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}
