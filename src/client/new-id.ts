/**
 * Ids that no other client makes; works where `crypto.randomUUID` does not, such as on a page without TLS.
 */
const RANDOM_BYTES = 12

export function newId(prefix: string): string {
  const bytes = crypto.getRandomValues(new Uint8Array(RANDOM_BYTES))
  return `${prefix}_${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`
}
