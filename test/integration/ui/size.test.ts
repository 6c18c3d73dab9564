/**
 * How much the dashboard makes a browser fetch, as it is built; docs/dashboard.md names the figures.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const BUILT = join(ROOT, 'dist/ui')
/** A little more than there is: whoever needs more says why here. */
const MAX_SCRIPT_BYTES = 125_000
const MAX_FETCHED_BYTES = 48_000

const files = () =>
  readdirSync(BUILT, { recursive: true, encoding: 'utf8' })
    .map((name) => join(BUILT, name))
    .filter((path) => statSync(path).isFile())
const sum = (paths: readonly string[], bytesOf: (path: string) => number) =>
  paths.reduce((total, path) => total + bytesOf(path), 0)
const fetched = (path: string) => gzipSync(readFileSync(path), { level: 9 }).byteLength

test('the dashboard is small, and a browser fetches a third of it', () => {
  const all = files()
  const scripts = all.filter((path) => extname(path) === '.js')

  expect(scripts.length).toBeGreaterThan(0)
  expect(sum(scripts, (path) => statSync(path).size)).toBeLessThan(MAX_SCRIPT_BYTES)
  expect(sum(all, fetched)).toBeLessThan(MAX_FETCHED_BYTES)
})

test('its documentation names what there is, to a tenth', () => {
  const text = readFileSync(join(ROOT, 'docs/dashboard.md'), 'utf8')
  const [, whole, packed] = /(\d+) kB, of which a browser fetches (\d+) kB/.exec(text) ?? []
  const near = (bytes: number) => ({ from: (bytes / 1_000) * 0.9, to: (bytes / 1_000) * 1.1 })

  for (const [said, is] of [
    [Number(whole), near(sum(files(), (path) => statSync(path).size))],
    [Number(packed), near(sum(files(), fetched))],
  ] as const) {
    expect(said).toBeGreaterThanOrEqual(is.from)
    expect(said).toBeLessThanOrEqual(is.to)
  }
})
