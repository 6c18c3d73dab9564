/**
 * LOG_FILE as a user sets it, with the program as it is shipped.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { ClusterProcess } from '../../support/cluster-process.js'
import { createServerDatabase } from '../../support/databases.js'

function start(file: (folder: string) => string, more: Readonly<Record<string, string>> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'log-process-'))
  writeFileSync(join(folder, 'a-file'), '')
  const env = { DAEMON_PORT: '0', METRICS_PORT: '0', SHARD_COUNT: '1', DATA_DIR: join(folder, 'data'), ...more }
  const daemon = new ClusterProcess({ args: ['start'], env: { ...env, LOG_FILE: file(folder) }, cwd: folder })
  onTestFinished(async () => {
    await daemon.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  return { daemon, folder }
}

test('a log file that cannot be written ends the start with one sentence and exit code 1', async () => {
  const { daemon, folder } = start((inside) => join(inside, 'a-file', 'daemon.log'))

  expect(await daemon.ended).toBe(1)
  const path = join(folder, 'a-file', 'daemon.log')
  const sentence = `error: cannot write the log file ${path}: a part of its path is a file; set LOG_FILE to another, or leave it out`
  expect(daemon.lines).toEqual([sentence])
})

test('the log file holds every line of standard output, the last ones before the end included', async () => {
  const { url, remove } = await createServerDatabase()
  onTestFinished(remove)
  const { daemon, folder } = start(() => join('logs', 'daemon.log'), { DATABASE_URL: url })
  await daemon.waitForLine(/"msg":"ready"/)

  await daemon.stop()

  const shown = daemon.lines.filter((line) => line.startsWith('{'))
  expect(
    readFileSync(join(folder, 'logs', 'daemon.log'), 'utf8')
      .trimEnd()
      .split('\n'),
  ).toEqual(shown)
})
