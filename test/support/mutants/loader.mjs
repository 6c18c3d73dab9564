/**
 * Loaded into a node process before the program (NODE_OPTIONS=--import): puts changed text in the place of parts of the
 * built program as they are read, scripts for Redis and modules alike. A change that does not fit ends the process, so
 * that a mutant of yesterday's program is never taken for a working one. Worker threads load it too.
 */
import fs from 'node:fs'
import { register, syncBuiltinESMExports } from 'node:module'
import { fileURLToPath } from 'node:url'
import { mutated } from './patch.mjs'

const patches = JSON.parse(process.env.MUTANT_PATCHES ?? '[]')
const read = fs.readFileSync

fs.readFileSync = (path, ...rest) => {
  const content = read(path, ...rest)
  const name = path instanceof URL ? fileURLToPath(path) : String(path)
  return typeof content === 'string' && name.endsWith('.lua') ? mutated(name, content, patches) : content
}
syncBuiltinESMExports()
register('./hooks.mjs', import.meta.url, { data: patches })
