/**
 * Text frames to requests, written as this protocol has them or as JSON-RPC 2.0.
 */
import type { RequestId } from '../../protocol/commands.js'
import { ServiceError } from '../../protocol/errors.js'
import { parseJson } from '../../protocol/json.js'
import { type Encoding, NATIVE, type Request, requestFrameSchema } from '../../protocol/v2/frames.js'
import { JSON_RPC, jsonRpcRequestSchema } from '../../protocol/v2/json-rpc.js'

export type Read =
  | { readonly ok: true; readonly request: Request; readonly encoding: Encoding }
  | { readonly ok: false; readonly error: ServiceError; readonly id: RequestId | undefined }

export function readRequest(text: string): Read {
  let raw: unknown
  try {
    raw = parseJson(text)
  } catch (error) {
    return { ok: false, error: error as ServiceError, id: undefined }
  }
  const isJsonRpc = typeof raw === 'object' && raw !== null && 'jsonrpc' in raw
  const parsed = (isJsonRpc ? jsonRpcRequestSchema : requestFrameSchema).safeParse(raw)
  if (parsed.success) {
    const { id, method, params, traceparent } = parsed.data
    return { ok: true, request: { id, method, params, traceparent }, encoding: isJsonRpc ? JSON_RPC : NATIVE }
  }
  const issue = parsed.error.issues[0]
  const reason = `${issue?.path.join('.') || 'frame'}: ${issue?.message ?? 'unexpected shape'}`
  return { ok: false, error: new ServiceError('invalid_payload', { reason }), id: idIn(raw) }
}

function idIn(raw: unknown): RequestId | undefined {
  const id = typeof raw === 'object' && raw !== null && 'id' in raw ? raw.id : undefined
  return typeof id === 'string' || typeof id === 'number' ? id : undefined
}
