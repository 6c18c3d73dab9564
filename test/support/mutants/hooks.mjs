/**
 * Module hooks of the mutant loader: they run in a thread of their own.
 */
import { fileURLToPath } from 'node:url'
import { mutated } from './patch.mjs'

let patches = []

export function initialize(given) {
  patches = given
}

export async function load(url, context, nextLoad) {
  const loaded = await nextLoad(url, context)
  if (!url.startsWith('file:') || !url.endsWith('.js') || loaded.source == null) return loaded
  return { ...loaded, source: mutated(fileURLToPath(url), String(loaded.source), patches) }
}
