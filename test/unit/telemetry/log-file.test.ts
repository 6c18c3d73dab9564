/**
 * The log file: nothing is lost, old files go, and what cannot be written is said in one sentence.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTick } from 'node:timers/promises'
import { expect, onTestFinished, test, vi } from 'vitest'
import { createLog } from '../../../src/telemetry/log.js'
import { type LogFileOptions, openLogFile } from '../../../src/telemetry/log-file.js'

const MEGABYTE = 1024 * 1024

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

test('a line is in the file before the call that logged it returns, and on the output too', async () => {
  const path = join(folder(), 'logs', 'daemon.log')
  const shown: string[] = []
  const output = { write: (line: string) => shown.push(line) }
  const file = await openLogFile(options(path, { rotationEnabled: false }))
  const log = createLog({ level: 'info', format: 'json', name: 'n', role: 'all', output, file })

  log.info({}, 'the last words')

  expect(linesOf(path)).toEqual([expect.stringContaining('the last words')])
  expect(shown.join('')).toContain('the last words')
})

test('a file without rotation is the one that was named, and goes on after a restart', async () => {
  const path = join(folder(), 'daemon.log')
  for (const words of ['first life\n', 'second life\n']) {
    const file = await openLogFile(options(path, { rotationEnabled: false }))
    file.write(words)
  }

  expect(linesOf(path)).toEqual(['first life', 'second life'])
})

test('full files make room: the newest are kept, and no line between them is missing', async () => {
  const directory = folder()
  const file = await openLogFile(options(join(directory, 'daemon.log')))
  const chunk = 64 * 1024
  const count = (6 * MEGABYTE) / chunk
  for (let number = 0; number < count; number++) {
    file.write(`${String(number).padStart(chunk - 1, '0')}\n`)
    await nextTick()
  }

  await vi.waitFor(() => expect(readdirSync(directory)).toHaveLength(3))
  const numbers = readdirSync(directory)
    .sort((one, other) => Number(one.split('.')[1]) - Number(other.split('.')[1]))
    .flatMap((name) => linesOf(join(directory, name)).filter((line) => line !== ''))
    .map(Number)
  expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, index) => count - numbers.length + index))
  expect(numbers.length).toBeGreaterThan((1.5 * MEGABYTE) / chunk)
})

test('files of former runs count among those that are kept', async () => {
  const directory = folder()
  for (let number = 1; number <= 6; number++) writeFileSync(join(directory, `daemon.${number}.log`), 'old\n')
  const file = await openLogFile(options(join(directory, 'daemon.log'), { maxFiles: 2 }))

  file.write(`${'x'.repeat(MEGABYTE)}\n`)

  await vi.waitFor(() => expect(readdirSync(directory).sort()).toEqual(['daemon.6.log', 'daemon.7.log']))
})

test.each([true, false])(
  'a file that cannot be written is refused in one sentence (rotation: %s)',
  async (rotationEnabled) => {
    const blocker = join(folder(), 'a-file')
    writeFileSync(blocker, '')
    const path = join(blocker, 'daemon.log')

    await expect(openLogFile(options(path, { rotationEnabled }))).rejects.toThrow(
      `cannot write the log file ${path}: a part of its path is a file; set LOG_FILE to another, or leave it out`,
    )
  },
)
