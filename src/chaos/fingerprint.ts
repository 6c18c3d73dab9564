/**
 * Fingerprints of bytes in journals: FNV-1a over UTF-16 code units, 32 bits. It can be continued, so that text is hashed
 * piece by piece however it was cut; and a single altered character always shows.
 */

const OFFSET_BASIS = 0x811c9dc5 | 0
const PRIME = 0x01000193

/** The fingerprint of `text`, or of what `before` stands for followed by `text`. */
export function fingerprint(text: string, before: number = OFFSET_BASIS): number {
  let hash = before
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), PRIME)
  return hash
}
