// Copies what the compiler leaves behind (Lua and shell scripts, SQL migrations) from src/ to dist/, and makes the binaries executable.
// What was built before and is no more goes: a daemon refuses to start with two migrations of one number.
import { chmodSync, cpSync, existsSync, readdirSync, rmSync } from 'node:fs'
import { extname, join } from 'node:path'

const ASSET_TYPES = new Set(['.lua', '.sh', '.sql'])

const assetsIn = (folder) => readdirSync(folder, { recursive: true }).filter((path) => ASSET_TYPES.has(extname(path)))

for (const path of assetsIn('src')) cpSync(join('src', path), join('dist', path))
for (const path of assetsIn('dist')) if (!existsSync(join('src', path))) rmSync(join('dist', path))
for (const binary of ['dist/main.js', 'dist/wundr.js']) chmodSync(binary, 0o755)
