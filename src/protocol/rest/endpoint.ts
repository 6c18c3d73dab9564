/**
 * An endpoint of the HTTP door as data: what it is called, what it takes, what it answers, and who may ask. The door, the
 * OpenAPI document and the tests read the same rows.
 */
import { z } from 'zod'
import { MAX_ID_CHARS, MAX_PAGE } from '../commands.js'
import type { ErrorCode } from '../errors.js'
import { eventIdSchema } from '../ids.js'
import type { Action } from '../permissions.js'

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'
export type Fields = z.ZodObject

export interface Endpoint {
  readonly method: Method
  /** `{name}` stands for one segment, `{name*}` for all that follow. */
  readonly path: string
  /** Other paths for the same, which clients of the reference use. */
  readonly aliases?: readonly string[]
  readonly tag: Tag
  readonly summary: string
  /** Undefined: whoever asks. */
  readonly action: Action | undefined
  /** What its answer needs beside: asked before anything happens, so that nothing is refused half-done. */
  readonly alsoNeeds?: readonly Action[]
  readonly params: Fields
  readonly query: Fields
  /** Undefined: a body is not looked at. */
  readonly body?: Fields
  /** Whether `Idempotency-Key` names the command. */
  readonly takesKey?: true
  readonly answers: Answers
  /** Codes of the error table that are its own, beside those of every endpoint. */
  readonly errors?: readonly ErrorCode[]
}

/** Status → what is answered with it; a string is a media type without a schema. */
export type Answers = Readonly<Record<number, z.ZodType | string>>

export const TAGS = ['Sessions', 'Tasks', 'Approvals', 'Usage', 'Memory', 'Cluster', 'Service', 'Bridge'] as const
export type Tag = (typeof TAGS)[number]

export const NOTHING = z.object({})
export const id = z.string().min(1).max(MAX_ID_CHARS)
export const ofSession = z.object({ sessionId: id })

/** Numbers of a query come as text. */
const limitUpTo = (most: number) => z.coerce.number().int().min(1).max(most).optional()

export const page = {
  limit: limitUpTo(MAX_PAGE),
  cursor: z.string().min(1).max(256).optional().meta({ description: 'Of the page before; clients pass it on unread.' }),
}

export const MAX_EVENTS = 500
export const eventPage = z.object({
  after: eventIdSchema
    .optional()
    .meta({ description: 'The last event that the caller has; without it, from the start.' }),
  limit: limitUpTo(MAX_EVENTS),
})

/** Several words of a query, with commas between them. */
export const listOf = <T extends string>(words: readonly [T, ...T[]]) =>
  z
    .string()
    .max(512)
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(words)).min(1))
    .optional()
    .meta({ description: `One or more of ${words.join(', ')}, with commas between them.` })

/** What a handler gets of a request, checked. */
export interface Input<E extends Endpoint> {
  readonly params: z.output<E['params']>
  readonly query: z.output<E['query']>
  readonly body: E extends { readonly body: infer B extends Fields } ? z.output<B> : undefined
}
