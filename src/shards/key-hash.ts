/**
 * A 32-bit hash of a short text, spread evenly even over texts that differ in one digit.
 */

const FNV_OFFSET = 0x811c9dc5
const FNV_PRIME = 0x01000193

/**
 * FNV-1a, finalised as in MurmurHash3: plain FNV (and CRC-32) leave `shard:1`, `shard:2`, … close together on a ring.
 * Every node must compute the same number, so this function never changes.
 */
export function keyHash(text: string): number {
  let hash = FNV_OFFSET
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), FNV_PRIME)
  }
  return finalise(hash)
}

function finalise(value: number): number {
  let hash = value
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
