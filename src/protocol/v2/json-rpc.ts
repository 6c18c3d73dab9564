/**
 * The second protocol for clients of JSON-RPC 2.0: the same methods and events in the frames of that standard.
 */
import { z } from 'zod'
import { MAX_ID_CHARS } from '../commands.js'
import type { Encoding, V2Code } from './frames.js'
import { requestFrameSchema } from './frames.js'

/** A notification (no id) asks for no answer, and everything here has one: it is refused. */
export const jsonRpcRequestSchema = z.object({
  jsonrpc: z.literal('2.0'),
  id: z.union([z.string().min(1).max(MAX_ID_CHARS), z.number()]),
  method: requestFrameSchema.shape.method,
  params: z.unknown().optional(),
  traceparent: requestFrameSchema.shape.traceparent,
})

/** Numbers below -32000 are the standard's; the others are this protocol's. */
const NUMBERS: Readonly<Record<V2Code, number>> = {
  INVALID_REQUEST: -32600,
  INTERNAL: -32603,
  UNAUTHORIZED: -32000,
  FORBIDDEN: -32001,
  CONFLICT: -32002,
  RATE_LIMITED: -32003,
  UNAVAILABLE: -32004,
  TIMEOUT: -32005,
  PROTOCOL_MISMATCH: -32006,
  NOT_FOUND: -32007,
}
const METHOD_NOT_FOUND = -32601
const INVALID_PARAMS = -32602

/** Two codes of the table have a number of the standard of their own. */
const numberOf = (code: V2Code, ofTable: string): number => {
  if (ofTable === 'unknown_method') return METHOD_NOT_FOUND
  return ofTable === 'invalid_payload' ? INVALID_PARAMS : NUMBERS[code]
}

export const JSON_RPC: Encoding = {
  answer: (id, result) => JSON.stringify({ jsonrpc: '2.0', id, result }),
  refusal: (id, { code, message, ...data }) =>
    JSON.stringify({
      jsonrpc: '2.0',
      id: id ?? null,
      error: { code: numberOf(code, data.details.code), message, data: { wundrCode: code, ...data } },
    }),
  event: ({ event, ...params }) => JSON.stringify({ jsonrpc: '2.0', method: event, params }),
}
