/**
 * The log file: nothing is lost, no byte too many is kept, and what cannot be written is said in one sentence.
 */
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { createLog } from '../../../src/telemetry/log.js'
import { LogFile, type LogFileOptions } from '../../../src/telemetry/log-file.js'

const MB = 1_048_576
const CHUNK = 65_536

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'log-file-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

const options = (path: string, more: Partial<LogFileOptions> = {}): LogFileOptions => ({
  ...{ path, rotationEnabled: true, maxSizeMb: 1, maxFiles: 3, onError: vi.fn() },
  ...more,
})

const linesOf = (path: string): string[] => readFileSync(path, 'utf8').trimEnd().split('\n')
/** A line of exactly so many bytes that begins with its number. */
const lineOf = (number: number, bytes = CHUNK): string =>
  `${String(number)
    .padStart(8, '0')
    .padEnd(bytes - 1, '.')}\n`
const numbersIn = (path: string): number[] => linesOf(path).map((line) => Number.parseInt(line, 10))

test('a line is in the file before the call that logged it returns, and on the output too', () => {
  const path = join(folder(), 'logs', 'daemon.log')
  const shown: string[] = []
  const output = { write: (line: string) => shown.push(line) }
  const file = new LogFile(options(path))
  const log = createLog({ level: 'info', format: 'json', name: 'n', role: 'all', output, file })

  log.info({}, 'the last words')

  expect(linesOf(path)).toEqual([expect.stringContaining('the last words')])
  expect(shown.join('')).toContain('the last words')
})

test('a file goes on after a restart, with rotation and without', () => {
  for (const rotationEnabled of [true, false]) {
    const path = join(folder(), 'daemon.log')
    for (const words of ['first life\n', 'second life\n']) new LogFile(options(path, { rotationEnabled })).write(words)

    expect(linesOf(path)).toEqual(['first life', 'second life'])
  }
})

test('a file is never larger than it may be, by a byte, and no line is missing between those that are kept', () => {
  const directory = folder()
  const path = join(directory, 'daemon.log')
  const file = new LogFile(options(path))
  const perFile = MB / CHUNK
  const count = 5 * perFile + 3
  for (let number = 0; number < count; number++) file.write(lineOf(number))

  const names = ['daemon.2.log', 'daemon.1.log', 'daemon.log']
  expect(readdirSync(directory).sort()).toEqual([...names].sort())
  expect(names.map((name) => statSync(join(directory, name)).size)).toEqual([MB, MB, 3 * CHUNK])
  const numbers = names.flatMap((name) => numbersIn(join(directory, name)))
  expect(numbers).toEqual(Array.from({ length: 2 * perFile + 3 }, (_, index) => count - (2 * perFile + 3) + index))
})

test('a line that would be the byte too many begins the next file, and characters are counted as bytes', () => {
  const path = join(folder(), 'daemon.log')
  const file = new LogFile(options(path))
  file.write(lineOf(1, MB - 3))
  file.write('ü\n')
  expect(statSync(path).size).toBe(MB)

  file.write('\n')

  expect(statSync(path).size).toBe(1)
})

test('a line that is longer than a file may be stands in one of its own', () => {
  const directory = folder()
  const file = new LogFile(options(join(directory, 'daemon.log')))
  for (const line of ['before\n', lineOf(1, 2 * MB), 'after\n']) file.write(line)

  expect(linesOf(join(directory, 'daemon.log'))).toEqual(['after'])
  expect(statSync(join(directory, 'daemon.1.log')).size).toBe(2 * MB)
  expect(linesOf(join(directory, 'daemon.2.log'))).toEqual(['before'])
})

test('files of former runs count among those that are kept, and other files are left alone', () => {
  const directory = folder()
  for (let number = 1; number <= 6; number++) writeFileSync(join(directory, `daemon.${number}.log`), `old ${number}\n`)
  for (const other of ['daemon.0.log', 'daemon.x.log', 'other.1.log', 'daemon.1.log.gz']) {
    writeFileSync(join(directory, other), 'not ours\n')
  }
  const file = new LogFile(options(join(directory, 'daemon.log')))
  file.write(lineOf(1, MB))
  file.write('new\n')

  expect(readdirSync(directory).sort()).toEqual(
    [
      'daemon.0.log',
      'daemon.1.log',
      'daemon.1.log.gz',
      'daemon.2.log',
      'daemon.log',
      'daemon.x.log',
      'other.1.log',
    ].sort(),
  )
  expect(linesOf(join(directory, 'daemon.2.log'))).toEqual(['old 1'])
})

test('where one file is kept it begins anew when it is full', () => {
  const directory = folder()
  const file = new LogFile(options(join(directory, 'daemon.log'), { maxFiles: 1 }))
  file.write(lineOf(1, MB))
  file.write('new\n')

  expect(readdirSync(directory)).toEqual(['daemon.log'])
  expect(linesOf(join(directory, 'daemon.log'))).toEqual(['new'])
})

test('limits that change count from the next line on', () => {
  const directory = folder()
  const file = new LogFile(options(join(directory, 'daemon.log'), { maxSizeMb: 4, maxFiles: 9 }))
  for (let number = 0; number < 40; number++) file.write(lineOf(number))
  expect(readdirSync(directory)).toHaveLength(1)

  file.limit({ maxSizeMb: 1, maxFiles: 2 })
  for (let number = 40; number < 80; number++) file.write(lineOf(number))

  expect(readdirSync(directory).sort()).toEqual(['daemon.1.log', 'daemon.log'])
  expect(statSync(join(directory, 'daemon.1.log')).size).toBe(MB)
})

test('a file that somebody else has moved away is followed by another one when it is opened again', () => {
  const directory = folder()
  const path = join(directory, 'daemon.log')
  const file = new LogFile(options(path, { rotationEnabled: false }))
  file.write('one\n')
  renameSync(path, join(directory, 'moved'))
  file.write('two\n')
  file.reopen()
  file.write('three\n')

  expect(linesOf(join(directory, 'moved'))).toEqual(['one', 'two'])
  expect(linesOf(path)).toEqual(['three'])
})

test('what cannot be written while it runs is told once, and it goes on as soon as it can', () => {
  const directory = folder()
  const path = join(directory, 'logs', 'daemon.log')
  const onError = vi.fn()
  const file = new LogFile(options(path, { onError }))
  file.write(lineOf(1, MB))
  // Where its folder was stands a file.
  rmSync(join(directory, 'logs'), { recursive: true })
  writeFileSync(join(directory, 'logs'), '')
  for (const line of ['lost\n', 'lost too\n']) file.write(line)
  rmSync(join(directory, 'logs'))

  file.write('back again\n')

  expect(onError).toHaveBeenCalledOnce()
  expect(linesOf(path)).toEqual(['back again'])
})

test('a file that cannot be written from the beginning is refused in one sentence', () => {
  const blocker = join(folder(), 'a-file')
  writeFileSync(blocker, '')
  const path = join(blocker, 'daemon.log')

  expect(() => new LogFile(options(path))).toThrow(
    `cannot write the log file ${path}: a part of its path is a file; set LOG_FILE to another, or leave it out`,
  )
})
