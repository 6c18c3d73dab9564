/**
 * Requests drawn by chance from the OpenAPI document (row H-04): nothing breaks the service, and every answer is one that
 * the document foresees. FUZZ_REQUESTS says how many.
 */
import { beforeAll, expect, test } from 'vitest'
import { OpenApi, type Operation } from '../../support/openapi.js'
import { type SeededRandom, seededRandom } from '../../support/random.js'
import { SchemaValues } from '../../support/schema-values.js'
import { type House, openHouse, type Requester } from './http-fixture.js'

const REQUESTS = Number(process.env.FUZZ_REQUESTS ?? 1_500)
const AT_ONCE = 8
/** Of those that name something, so many name something that is there. */
const REAL_IN = 2

let house: House
beforeAll(async () => {
  house = await openHouse({ DAEMON_MAX_SESSIONS: '500' })
})

/** These have nothing to do here, which they say with 503; and a stream has no end. */
const LEFT_OUT = new Set(['readTraffic', 'steerTraffic', 'listChannels', 'readChannel', 'streamEvents'])

interface Drawn {
  readonly operation: Operation
  readonly path: string
  readonly body: string | undefined
  readonly headers: Readonly<Record<string, string>>
}

class Requests {
  readonly #values: SchemaValues

  constructor(
    readonly random: SeededRandom,
    readonly api: OpenApi,
    readonly real: Readonly<Record<string, readonly string[]>>,
  ) {
    this.#values = new SchemaValues(random, api.schemas)
  }

  draw(): Drawn {
    const operation = this.random.pick(this.api.operations.filter(({ operationId }) => !LEFT_OUT.has(operationId)))
    const query = new URLSearchParams()
    const headers: Record<string, string> = {}
    let path = operation.path
    for (const { name, in: place, required, schema } of operation.parameters) {
      if (!required && this.random.integer(0, 2) > 0) continue
      const real = this.real[name]
      const isReal = real !== undefined && this.random.integer(1, REAL_IN) === 1
      const value = isReal ? this.random.pick(real) : textOf(this.#values.draw(schema))
      if (place === 'path') path = path.replace(`{${name}}`, encodeURIComponent(wellFormed(value) || 'x'))
      else if (place === 'query') query.set(name, value)
      else headers[name] = value.replace(/[^\x21-\x7e]/g, '') || 'key'
    }
    return { operation, path: `${path}?${query}`, body: this.#body(operation), headers }
  }

  #body({ requestBody }: Operation): string | undefined {
    const schema = requestBody?.content['application/json']?.schema
    if (!schema) return undefined
    const text = JSON.stringify(this.#values.draw(schema)) ?? ''
    // Cut now and then, as broken clients do.
    return this.random.integer(0, 19) === 0 ? text.slice(0, this.random.integer(0, text.length)) : text
  }
}

/** Half a character cannot be written into an address. */
const wellFormed = (text: string): string => Buffer.from(text).toString('utf8')

const textOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

async function faultOf(
  alice: Requester,
  api: OpenApi,
  { operation, path, body, headers }: Drawn,
): Promise<string | undefined> {
  const reply = await alice.ask(operation.method, path, body, headers)
  const type = (reply.headers.get('content-type') ?? '').split(';')[0] ?? ''
  const said = `${operation.method} ${path} ${body ?? ''} → ${reply.status} ${JSON.stringify(reply.body).slice(0, 300)}`
  if (reply.status >= 500) return said
  const fault = api.faultOf(operation, { status: reply.status, type, body: reply.body })
  return fault && `${said}: ${fault}`
}

test('no request fails the service, and every answer is as the document says', async () => {
  const alice = await house.as('alice', 'acme', 'admin')
  const api = new OpenApi((await alice.get('/api/openapi.json')).body)
  const sessions = [await alice.spawn(), await alice.spawn({ task: '{"count":3}' }), await alice.spawn()]
  const scheduled = await alice.post('/api/sessions', { task: { description: 'later', delayMs: 3_600_000 } })
  const real = { sessionId: sessions, agentId: sessions, scheduleId: [scheduled.body.scheduleId] }
  const requests = new Requests(seededRandom('requests drawn from the document'), api, real)
  const faults: string[] = []

  const draws = Array.from({ length: REQUESTS }, () => requests.draw())
  await Promise.all(
    Array.from({ length: AT_ONCE }, async (_none, lane) => {
      for (let n = lane; n < draws.length; n += AT_ONCE) {
        const fault = await faultOf(alice, api, draws[n] as Drawn)
        if (fault !== undefined) faults.push(fault)
      }
    }),
  )

  expect(faults.slice(0, 5)).toEqual([])
  expect(house.daemon.lines.filter((line) => line.includes('could not be carried out'))).toEqual([])
  expect(await alice.get('/api/health')).toMatchObject({ status: 200 })
}, 180_000)
