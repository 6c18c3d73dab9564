/**
 * The HTTP door as an OpenAPI 3.1 document, made of the same rows and schemas that the door checks requests with.
 */
import { z } from 'zod'
import { ERRORS, type ErrorCode } from '../errors.js'
import { type Endpoint, TAGS } from './endpoint.js'
import { ENDPOINT_NAMES, ENDPOINTS } from './endpoints.js'
import { problemShape } from './shapes.js'

type Json = Readonly<Record<string, unknown>>
type Schemas = Record<string, Json>
type Direction = 'input' | 'output'

/** What any request may be refused with. */
const EVERYWHERE: readonly ErrorCode[] = [
  'invalid_payload',
  'rate_limit_exceeded',
  'edge_full',
  'internal',
  'unavailable',
]
const WITH_CREDENTIAL: readonly ErrorCode[] = ['credentials_missing', 'forbidden']
const WITH_BODY: readonly ErrorCode[] = ['invalid_message', 'message_too_large']

const DESCRIPTION = `Sessions of AI agents over HTTP: what the WebSocket offers, with the same credentials, roles and limits.
Errors are application/problem+json with a code of one table. A request with \`Idempotency-Key\` takes effect once in the
cluster, however often it is sent.`

const SECURITY = {
  bearer: { type: 'http', scheme: 'bearer', description: 'A token, or an API key.' },
  apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
  tokenParameter: { type: 'apiKey', in: 'query', name: 'token' },
  apiKeyParameter: { type: 'apiKey', in: 'query', name: 'apiKey' },
}

export function openApiDocument(version: string): Json {
  const schemas: Schemas = {}
  const paths: Record<string, Record<string, Json>> = {}
  for (const name of ENDPOINT_NAMES) {
    const endpoint: Endpoint = ENDPOINTS[name]
    for (const [index, path] of [endpoint.path, ...(endpoint.aliases ?? [])].entries()) {
      const about = operation(index === 0 ? name : `${name}Alias${index}`, endpoint, schemas)
      // OpenAPI knows no parameter that spans segments: clients encode the slashes of a path.
      const shown = path.replace('*}', '}')
      paths[shown] = { ...paths[shown], [endpoint.method.toLowerCase()]: about }
    }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'orchestrator-daemon', version, description: DESCRIPTION },
    servers: [{ url: '/' }],
    security: Object.keys(SECURITY).map((each) => ({ [each]: [] })),
    tags: TAGS.map((name) => ({ name })),
    paths,
    components: { schemas, securitySchemes: SECURITY },
  }
}

function operation(operationId: string, endpoint: Endpoint, schemas: Schemas): Json {
  const { tag, summary, action, params, query, body, takesKey } = endpoint
  return {
    ...{ operationId, tags: [tag], summary },
    ...(action === undefined && { security: [] }),
    ...(action !== undefined && { 'x-action': action }),
    parameters: [
      ...parametersOf('path', params, schemas),
      ...parametersOf('query', query, schemas),
      ...(takesKey ? [IDEMPOTENCY_KEY] : []),
    ],
    ...(body && {
      requestBody: {
        required: true,
        content: { 'application/json': { schema: schemaOf(body, 'input', schemas) } },
      },
    }),
    responses: { ...answersOf(endpoint, schemas), ...problemsOf(endpoint, schemas) },
  }
}

const IDEMPOTENCY_KEY = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: 'Names the command: sent again under the same key it takes effect once.',
  schema: { type: 'string', pattern: '^[\\x21-\\x7e]{1,128}$' },
}

function parametersOf(place: 'path' | 'query', fields: Endpoint['query'], schemas: Schemas): readonly Json[] {
  const { properties = {}, required = [] } = schemaOf(fields, 'input', schemas) as {
    readonly properties?: Readonly<Record<string, Json>>
    readonly required?: readonly string[]
  }
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    ...{ name, in: place, required: place === 'path' || required.includes(name), schema },
    ...(description !== undefined && { description }),
  }))
}

function answersOf({ answers }: Endpoint, schemas: Schemas): Json {
  return Object.fromEntries(
    Object.entries(answers).map(([status, answer]) => {
      if (answer === '') return [status, { description: 'Not modified' }]
      const content =
        typeof answer === 'string'
          ? { [answer]: { schema: { type: 'string' } } }
          : { 'application/json': { schema: schemaOf(answer, 'output', schemas) } }
      return [status, { description: DESCRIPTIONS[status] ?? 'Done', content }]
    }),
  )
}

const DESCRIPTIONS: Readonly<Record<string, string>> = { 200: 'Done', 201: 'Made', 202: 'Accepted' }

/** One answer for each status, with the codes that it may carry. */
function problemsOf({ action, body, errors = [] }: Endpoint, schemas: Schemas): Json {
  const codes = [...EVERYWHERE, ...(action === undefined ? [] : WITH_CREDENTIAL), ...(body ? WITH_BODY : []), ...errors]
  const byStatus = new Map<number, ErrorCode[]>()
  for (const code of new Set(codes)) {
    const { http } = ERRORS[code]
    byStatus.set(http, [...(byStatus.get(http) ?? []), code])
  }
  const schema = schemaOf(problemShape, 'output', schemas)
  return Object.fromEntries(
    [...byStatus].map(([status, names]) => [
      status,
      { description: names.join(', '), content: { 'application/problem+json': { schema } } },
    ]),
  )
}

/** The schema with every named shape moved into the document's components. */
function schemaOf(type: z.ZodType, io: Direction, schemas: Schemas): Json {
  const { $schema: _dialect, $defs = {}, ...schema } = z.toJSONSchema(type, { io, unrepresentable: 'any' })
  for (const [name, shape] of Object.entries($defs)) schemas[name] = relocated(shape) as Json
  return relocated(schema) as Json
}

/** References as the document's components are referred to. */
function relocated(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(relocated)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]) => {
      if (key === '$ref') return [[key, String(inner).replace('#/$defs/', '#/components/schemas/')]]
      return key === 'id' && typeof inner === 'string' ? [] : [[key, relocated(inner)]]
    }),
  )
}
