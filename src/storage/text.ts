/**
 * Text from outside on its way into the database.
 */

/** Postgres cannot hold the character U+0000 in text; U+FFFD stands in for it, as for anything that cannot be shown. */
export const storableText = (text: string): string => text.replaceAll('\0', '\uFFFD')

// JSON.stringify writes pairs of surrogates as they are, so every escaped one is half a character. The last alternative
// takes all other escapes whole: in `\\u0000` the first backslash belongs to the second.
const ESCAPES = /\\(?:(u0000|ud[89a-f][0-9a-f]{2})|.)/gs

/**
 * JSON whose fields Postgres can read. It keeps any JSON as it is, but fails as soon as a query looks into one that holds
 * U+0000 or half a character. `json` comes from JSON.stringify.
 */
export const queryableJson = (json: string): string =>
  json.includes('\\u') ? json.replace(ESCAPES, (whole, bad?: string) => (bad === undefined ? whole : '\uFFFD')) : json
