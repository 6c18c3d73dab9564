// Copies what the compiler leaves behind (Lua and shell scripts, SQL migrations) from src/ to dist/, and makes the binaries executable.
import { chmodSync, cpSync, readdirSync } from 'node:fs'
import { extname, join } from 'node:path'

const ASSET_TYPES = new Set(['.lua', '.sh', '.sql'])

for (const path of readdirSync('src', { recursive: true })) {
  if (ASSET_TYPES.has(extname(path))) cpSync(join('src', path), join('dist', path))
}
for (const binary of ['dist/main.js', 'dist/wundr.js']) chmodSync(binary, 0o755)
