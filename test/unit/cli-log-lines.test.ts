/**
 * A log file read from its end: the last lines, over several files, and what comes, over rotation.
 */
import { appendFileSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { LogFollower, lastLines, lastLinesOfAll } from '../../src/cli/log-lines.js'
import { LogFile } from '../../src/telemetry/log-file.js'
import { seededRandom } from '../support/random.js'

const MB = 1_048_576

function fixture() {
  const folder = mkdtempSync(join(tmpdir(), 'log-lines-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'daemon.log')
  return { folder, path }
}

const numbered = (from: number, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `line ${from + index}`)
const text = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('')

test.each([0, 1, 3, 10, 20_000])('the last %i lines of a file are those, in order', (count) => {
  const { path } = fixture()
  const lines = numbered(1, 20_000)
  writeFileSync(path, text(lines))

  expect(lastLines(path, count)).toEqual(count === 0 ? [] : lines.slice(-count))
})

test('a line that is not ended yet counts as one, and nothing is read from before a position', () => {
  const { path } = fixture()
  writeFileSync(path, 'old\nfirst\nhalf')

  expect(lastLines(path, 5, 'old\n'.length)).toEqual(['first', 'half'])
  expect(lastLines(path, 1)).toEqual(['half'])
  expect(lastLines(`${path}-that-is-not-there`, 5)).toEqual([])
})

test('lines are taken from the full files before it as well, as far back as they are wanted', () => {
  const { folder, path } = fixture()
  writeFileSync(join(folder, 'daemon.2.log'), text(numbered(1, 10)))
  writeFileSync(join(folder, 'daemon.1.log'), text(numbered(11, 10)))
  writeFileSync(path, text(numbered(21, 3)))

  expect(lastLinesOfAll(path, 2)).toEqual(numbered(22, 2))
  expect(lastLinesOfAll(path, 15)).toEqual(numbered(9, 15))
  expect(lastLinesOfAll(path, 100)).toEqual(numbered(1, 23))
})

test('what is written is followed in whole lines, from where it began', () => {
  const { path } = fixture()
  writeFileSync(path, 'before\n')
  const follower = new LogFollower(path)
  appendFileSync(path, 'one\ntw')
  expect(follower.next()).toEqual(['one'])
  expect(follower.next()).toEqual([])

  appendFileSync(path, 'o\nthrée\n')

  expect(follower.next()).toEqual(['two', 'thrée'])
  follower.close()
})

test('a log that is not there yet is followed from its first line on', () => {
  const { folder, path } = fixture()
  writeFileSync(join(folder, 'daemon.1.log'), 'of a former life\n')
  const follower = new LogFollower(path)
  expect(follower.next()).toEqual([])

  writeFileSync(path, 'first\n')

  expect(follower.next()).toEqual(['first'])
})

test('a log that is emptied goes on from its beginning', () => {
  const { path } = fixture()
  writeFileSync(path, 'a long line before\n')
  const follower = new LogFollower(path)
  truncateSync(path)
  appendFileSync(path, 'new\n')

  expect(follower.next()).toEqual(['new'])
})

test('a log that is moved away and begun anew is followed there', () => {
  const { folder, path } = fixture()
  writeFileSync(path, '')
  const follower = new LogFollower(path)
  appendFileSync(path, 'last\n')
  renameSync(path, join(folder, 'elsewhere'))
  writeFileSync(path, 'first\n')

  expect(follower.next()).toEqual(['last', 'first'])
})

test('no line is missed and none comes twice, however often the file becomes full between two looks', () => {
  const { path } = fixture()
  const random = seededRandom('log lines')
  const file = new LogFile({
    path,
    rotationEnabled: true,
    maxSizeMb: 1,
    maxFiles: 20,
    onError: ({ message }) => expect.fail(message),
  })
  const follower = new LogFollower(path)
  const seen: string[] = []
  let written = 0
  while (written < 400) {
    const burst = random.integer(1, 60)
    for (let line = 0; line < burst; line++) {
      file.write(`${`line ${++written} `.padEnd(MB / 8, '.')}\n`)
    }
    seen.push(...follower.next().map((line) => line.slice(0, line.indexOf(' ', 5))))
  }

  expect(seen).toEqual(numbered(1, written))
})
