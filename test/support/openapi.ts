/**
 * An OpenAPI document as tests read it: its operations, and whether an answer is what it says.
 */
import { z } from 'zod'
import type { JsonSchema } from './schema-values.js'

interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly required: boolean
  readonly schema: JsonSchema
}

type Content = Readonly<Record<string, { readonly schema: JsonSchema }>>

export interface Operation {
  readonly method: string
  readonly path: string
  readonly operationId: string
  readonly parameters: readonly Parameter[]
  readonly requestBody?: { readonly content: Content }
  readonly responses: Readonly<Record<string, { readonly content?: Content }>>
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Omit<Operation, 'method' | 'path'>>>>>
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> }
}

export class OpenApi {
  readonly operations: readonly Operation[]
  readonly schemas: Readonly<Record<string, JsonSchema>>
  readonly #validators = new Map<JsonSchema, z.ZodType>()

  constructor({ paths, components }: Document) {
    this.schemas = components.schemas
    this.operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, about]) => ({ ...about, path, method: method.toUpperCase() })),
    )
  }

  /** What is wrong with an answer, in a sentence; undefined when the document foresees it. */
  faultOf(operation: Operation, answer: { status: number; type: string; body: unknown }): string | undefined {
    const response = operation.responses[answer.status]
    if (!response) return `status ${answer.status} is not in the document`
    if (!response.content) return undefined
    const schema = response.content[answer.type]?.schema
    if (!schema) return `type ${answer.type} is not in the document for ${answer.status}`
    if (!answer.type.endsWith('json')) return undefined
    const checked = this.#validatorOf(schema).safeParse(answer.body)
    return checked.success ? undefined : JSON.stringify(checked.error.issues[0])
  }

  #validatorOf(schema: JsonSchema): z.ZodType {
    const known = this.#validators.get(schema)
    if (known) return known
    const whole = JSON.stringify({ ...schema, $defs: this.schemas }).replaceAll('#/components/schemas/', '#/$defs/')
    const validator = z.fromJSONSchema(JSON.parse(whole))
    this.#validators.set(schema, validator)
    return validator
  }
}
