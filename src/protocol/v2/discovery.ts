/**
 * The second protocol described to its clients, from the rows that the service itself goes by.
 */
import { z } from 'zod'
import { UNASKED, V2_EVENTS, type V2EventName } from './events.js'
import { PROTOCOL } from './frames.js'
import { METHOD_NAMES, METHODS, type Method, type MethodName } from './methods.js'

const domainOf = (name: string): string => name.split('.')[0] ?? name

export function describeMethod(name: MethodName, withSchema = true) {
  const { scope, streams, repeatable, summary }: Method = METHODS[name]
  return {
    ...{ name, description: summary, domain: domainOf(name) },
    requiredScopes: scope === undefined ? [] : [scope],
    streaming: streams ?? false,
    idempotent: repeatable ?? false,
    paramsSchema: withSchema ? schemaOf(name) : null,
  }
}

/** They never change, and making them takes a moment. */
const schemas = new Map<MethodName, object>()

/** As a client writes them: what has a default may be left out. */
function schemaOf(name: MethodName): object {
  const { params }: Method = METHODS[name]
  const schema = schemas.get(name) ?? z.toJSONSchema(params, { io: 'input', unrepresentable: 'any' })
  schemas.set(name, schema)
  return schema
}

export const discovery = (withSchemas: boolean) => ({
  protocolVersion: PROTOCOL,
  methods: METHOD_NAMES.map((name) => describeMethod(name, withSchemas)),
  events: Object.entries(V2_EVENTS).map(([name, description]) => ({
    ...{ name, description, domain: domainOf(name) },
    requiresSubscription: !UNASKED.has(name as V2EventName),
  })),
})
