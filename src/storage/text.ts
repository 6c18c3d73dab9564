/**
 * Text from outside on its way into a `text` column.
 */

/** Postgres cannot hold the character U+0000 in text; U+FFFD stands in for it, as for anything that cannot be shown. */
export const storableText = (text: string): string => text.replaceAll('\0', '\uFFFD')
