/**
 * Binary frames of the second protocol: a request whose text stands behind a header instead of inside JSON.
 *
 *   1 byte version · 1 byte flags · 16 bytes id (UUID) · 4 bytes length of metadata, big-endian · metadata (JSON) · payload
 */
import { z } from 'zod'
import { MAX_ID_CHARS } from '../commands.js'
import { ServiceError } from '../errors.js'
import { parseJson } from '../json.js'
import { requestFrameSchema } from './frames.js'

export const BINARY_VERSION = 1
const HEADER_BYTES = 22
const ID_FROM = 2
const ID_TO = 18
/** Of metadata; what is meant to be long goes into the payload. */
const MAX_META_BYTES = 64 * 1024

export const FLAGS = {
  /** The payload of this frame is deflated (zlib). */
  compressed: 0x01,
  /** More frames of this id follow. */
  chunked: 0x02,
  /** The last of them. */
  final: 0x04,
} as const

const metadataSchema = z.object({
  /** With the first frame of an id. */
  method: requestFrameSchema.shape.method.optional(),
  /** `application/json` (default): the payload is the parameters; `text/…`: it is the text that the method is about. */
  contentType: z.string().max(MAX_ID_CHARS).optional(),
  filename: z.string().max(MAX_ID_CHARS).optional(),
  totalSize: z.number().int().optional(),
  chunkIndex: z.number().int().nonnegative().optional(),
  traceparent: requestFrameSchema.shape.traceparent,
  /** Parameters beside the payload. */
  extra: z.record(z.string(), z.unknown()).optional(),
})
export type BinaryMetadata = z.output<typeof metadataSchema>

export interface BinaryFrame {
  readonly id: string
  readonly flags: number
  readonly metadata: BinaryMetadata
  readonly payload: Uint8Array
}

/** @throws ServiceError `invalid_payload`; `idOf` tells which request was meant, where that can be read */
export function readBinary(bytes: Uint8Array): BinaryFrame {
  if (bytes.length < HEADER_BYTES) throw refused(`a binary frame has a header of ${HEADER_BYTES} bytes`)
  if (bytes[0] !== BINARY_VERSION) throw refused(`binary frames have version ${BINARY_VERSION}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const metaEnd = HEADER_BYTES + view.getUint32(ID_TO)
  if (metaEnd > Math.min(bytes.length, HEADER_BYTES + MAX_META_BYTES)) throw refused('the metadata is cut, or too long')
  return {
    id: idOf(bytes) ?? '',
    flags: bytes[1] ?? 0,
    metadata: metadataOf(bytes.subarray(HEADER_BYTES, metaEnd)),
    payload: bytes.subarray(metaEnd),
  }
}

/** The UUID of a frame that is long enough to have one. */
export function idOf(bytes: Uint8Array): string | undefined {
  if (bytes.length < ID_TO) return undefined
  const hex = Buffer.from(bytes.subarray(ID_FROM, ID_TO)).toString('hex')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** What a text payload is, in the parameters of the methods that take one. */
const TEXT_OF: Readonly<Record<string, string>> = {
  'prompt.submit': 'prompt',
  'memory.store': 'content',
  'team.message': 'content',
}

/** The parameters of a request whose payload is complete. @throws ServiceError `invalid_payload` */
export function paramsOf({ method = '', contentType, extra }: BinaryMetadata, payload: Uint8Array): object {
  const text = utf8(payload)
  if (contentType?.startsWith('text/')) {
    const field = TEXT_OF[method]
    if (field === undefined) throw refused(`${method} takes no text; send application/json`)
    return { ...extra, [field]: text }
  }
  if (contentType !== undefined && !/^application\/json\b/.test(contentType)) {
    throw refused(`a payload is application/json or text, not ${contentType}`)
  }
  return { ...extra, ...(text === '' ? {} : objectIn(text)) }
}

function metadataOf(bytes: Uint8Array): BinaryMetadata {
  if (bytes.length === 0) return {}
  const parsed = metadataSchema.safeParse(objectIn(utf8(bytes)))
  if (!parsed.success) throw refused(`metadata.${parsed.error.issues[0]?.path.join('.')} is not as it should be`)
  return parsed.data
}

function objectIn(text: string): object {
  try {
    const value: unknown = parseJson(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch {
    // Said below, with the other things that are no object.
  }
  throw refused('metadata and JSON payloads are objects')
}

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new ServiceError('invalid_payload', { reason: 'metadata and payload are UTF-8' }, { cause })
  }
}

const refused = (reason: string): ServiceError => new ServiceError('invalid_payload', { reason })
