/**
 * Files that are watched: written, replaced, made and removed.
 */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { FileWatch } from '../../../src/config/file-watch.js'

const PATIENCE = { timeout: 10_000, interval: 10 } as const
const EVERY_MS = 20

function fixture() {
  const folder = mkdtempSync(join(tmpdir(), 'file-watch-'))
  const seen: string[] = []
  const watch = new FileWatch((path) => seen.push(path), EVERY_MS)
  onTestFinished(() => {
    watch.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  const file = join(folder, 'settings.yaml')
  /** Resolves when a change is seen after `change`. */
  const sees = async (change: () => void) => {
    const before = seen.length
    change()
    await vi.waitFor(() => expect(seen.length).toBeGreaterThan(before), PATIENCE)
  }
  return { folder, file, seen, watch, sees }
}

test('a file is noticed when it is made, written, replaced whole and removed', async () => {
  const { folder, file, watch, sees, seen } = fixture()
  watch.watch([file])

  await sees(() => writeFileSync(file, 'a: 1\n'))
  await sees(() => writeFileSync(file, 'a: 12\n'))
  await sees(() => {
    writeFileSync(join(folder, 'next'), 'a: 13\n')
    renameSync(join(folder, 'next'), file)
  })
  await sees(() => rmSync(file))

  expect(new Set(seen)).toEqual(new Set([file]))
})

test('a link that is turned to another file is noticed, as Kubernetes turns it', async () => {
  const { folder, file, watch, sees } = fixture()
  for (const version of ['one', 'two']) {
    mkdirSync(join(folder, version))
    writeFileSync(join(folder, version, 'settings.yaml'), `a: ${version}\n`)
  }
  symlinkSync('one', join(folder, 'data'))
  symlinkSync(join('data', 'settings.yaml'), file)
  watch.watch([file])

  await sees(() => {
    symlinkSync('two', join(folder, 'data.next'))
    renameSync(join(folder, 'data.next'), join(folder, 'data'))
  })
})

test('files that change together are one change, and one that is not watched any more is none', async () => {
  const { folder, file, watch, sees, seen } = fixture()
  const other = join(folder, '.env')
  watch.watch([file, other])
  await sees(() => {
    writeFileSync(file, 'a: 1\n')
    writeFileSync(other, 'A=1\n')
  })
  expect(seen).toHaveLength(1)

  watch.watch([other])
  writeFileSync(file, 'a: 1234\n')
  await sees(() => writeFileSync(other, 'A=12\n'))

  expect(seen.at(-1)).toBe(other)
  expect(seen).toHaveLength(2)
})
