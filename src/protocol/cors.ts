/**
 * Which pages of other origins may read an answer over HTTP.
 */
export type CorsHeader = readonly [name: string, value: string]

/** Headers for an answer to a page of `origin`, which is empty outside browsers; none that let in who is not `allowed`. */
export function corsHeaders(origin: string, allowed: readonly string[]): readonly CorsHeader[] {
  if (origin === '' || allowed.length === 0) return []
  if (allowed.includes('*')) return [['access-control-allow-origin', '*']]
  const vary: CorsHeader = ['vary', 'Origin']
  return allowed.includes(origin.toLowerCase()) ? [['access-control-allow-origin', origin], vary] : [vary]
}

/** How long a browser remembers the answer to a preflight, in seconds; the longest that all of them accept. */
export const PREFLIGHT_MAX_AGE_SECONDS = 7_200
