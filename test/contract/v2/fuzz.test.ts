/**
 * Row V2 under fire: requests drawn from the schemas that the service publishes, right and wrong, are each answered once, and
 * bytes that are nothing at all end nothing but their own connection.
 */
import { expect, test, vi } from 'vitest'
import { seededRandom } from '../../support/random.js'
import { type JsonSchema, SchemaValues } from '../../support/schema-values.js'
import { startEdge } from '../wire/edge-fixture.js'
import { connectV2, openV2, type V2Client } from './v2-fixture.js'

const REQUESTS = 1_500
/** Sent without waiting for the answers of the others. */
const AT_ONCE = 50
const GARBAGE = 400
const MAX_BYTES = 300

interface Described {
  readonly name: string
  readonly paramsSchema: JsonSchema
}

const answersOf = (client: V2Client) => client.frames.filter(({ type, id }) => type === 'res' && id !== 'sdk-1')

test('every request is answered once, and none is a bug of ours', { timeout: 60_000 }, async () => {
  const random = seededRandom('v2-fuzz')
  const values = new SchemaValues(random, {})
  const { url } = await startEdge()
  const client = await connectV2(url)
  const { methods } = (await client.ask('rpc.discover')) as unknown as { readonly methods: readonly Described[] }
  const asked = methods.filter(({ name }) => !['auth.logout', 'rpc.discover'].includes(name))
  const { id: sessionId } = await client.ask('session.create', { sessionType: 'echo', task: { description: 'wait' } })
  client.frames.length = 0

  for (let sent = 0; sent < REQUESTS; sent += AT_ONCE) {
    for (let at = sent; at < sent + AT_ONCE; at++) {
      const { name, paramsSchema } = random.pick(asked)
      const params = values.draw(paramsSchema)
      const isRecord = typeof params === 'object' && params !== null && !Array.isArray(params)
      const named = isRecord && random.integer(0, 1) === 1 ? { ...params, sessionId } : params
      client.send({ type: 'req', id: `f-${at}`, method: name, params: named })
    }
    await vi.waitFor(() => expect(answersOf(client).length).toBe(sent + AT_ONCE), { timeout: 20_000 })
  }

  const answers = answersOf(client)
  expect(new Set(answers.map(({ id }) => id)).size).toBe(REQUESTS)
  expect(answers.filter(({ error }) => error?.code === 'INTERNAL')).toEqual([])
  expect(answers.filter(({ ok }) => ok).length).toBeGreaterThan(REQUESTS / 20)
})

test('bytes that are nothing leave the edge and its other clients alone', async () => {
  const random = seededRandom('v2-garbage')
  const { url, edge } = await startEdge()
  const witness = await connectV2(url)
  const [connected, stranger] = [await connectV2(url), await openV2(`${url}/v2`)]

  for (let at = 0; at < GARBAGE; at++) {
    const bytes = Buffer.from(Array.from({ length: random.integer(0, MAX_BYTES) }, () => random.integer(0, 255)))
    // Half of them look like a binary frame of ours.
    if (bytes.length > 0 && random.integer(0, 1) === 1) bytes[0] = 1
    for (const client of [connected, stranger]) if (client.socket.readyState === client.socket.OPEN) client.send(bytes)
  }

  expect(await connected.ask('health.ping')).toMatchObject({ serverTimestamp: expect.any(Number) })
  expect(await stranger.end()).toMatchObject({ code: 1008 })
  expect(await witness.ask('health.ping')).toMatchObject({ serverTimestamp: expect.any(Number) })
  await expect.poll(() => edge.connections).toBe(2)
})
