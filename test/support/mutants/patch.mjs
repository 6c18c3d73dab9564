/**
 * Applies the patches of a file to its text, and says so on standard error.
 */
import { writeSync } from 'node:fs'

const STANDARD_ERROR = 2

/** @throws Error when a patch does not fit exactly once. */
export function mutated(path, text, patches) {
  const own = patches.filter(({ file }) => path.endsWith(`/dist/${file}`))
  let changed = text
  for (const { file, find, replace } of own) {
    const parts = changed.split(find)
    if (parts.length !== 2) throw new Error(`mutant: ${parts.length - 1} places in ${file} read: ${find}`)
    changed = parts.join(replace)
  }
  for (const { file } of own.slice(0, 1)) writeSync(STANDARD_ERROR, `mutant: ${file} is changed\n`)
  return changed
}
