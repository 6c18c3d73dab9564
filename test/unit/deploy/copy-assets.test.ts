/**
 * What a build brings to `dist` beside the compiler's work, also where an earlier build has been.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'

const SCRIPT = fileURLToPath(new URL('../../../scripts/copy-assets.mjs', import.meta.url))

test('a migration that was renamed since the last build is there once, and scripts are copied', () => {
  const folder = mkdtempSync(join(tmpdir(), 'assets-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const write = (...paths: string[]) => {
    for (const path of paths.map((each) => join(folder, each))) {
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, '')
    }
  }
  write('src/storage/migrations/0002_later.sql', 'src/bus/lua/commit.lua', 'src/main.ts')
  write('dist/storage/migrations/0001_later.sql', 'dist/main.js', 'dist/wundr.js', 'dist/ui/index.html')

  execFileSync(process.execPath, [SCRIPT], { cwd: folder })

  const files = readdirSync(join(folder, 'dist'), { recursive: true, encoding: 'utf8' }).filter((path) =>
    /\./.test(path),
  )
  expect(files.sort()).toEqual([
    ...['bus/lua/commit.lua', 'main.js', 'storage/migrations/0002_later.sql', 'ui/index.html', 'wundr.js'],
  ])
})
