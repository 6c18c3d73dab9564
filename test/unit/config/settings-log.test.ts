/**
 * Settings of the log file take effect.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, vi } from 'vitest'
import { logLevelOf, openNodeLog } from '../../../src/assembly/node-log.js'
import { loadConfig } from '../../../src/config/load.js'
import { effect } from '../../support/settings-fixture.js'

const MB = 1_024 * 1_024

/** Logs `megabytes` in lines of an eighth of one; returns the names of the files that are there then. */
function logged(megabytes: number, env: Record<string, string>): { cwd: string; files: string[] } {
  const cwd = mkdtempSync(join(tmpdir(), 'settings-log-'))
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true }))
  const stdout = vi.spyOn(process.stdout, 'write').mockReturnValue(true)
  onTestFinished(() => stdout.mockRestore())
  const config = loadConfig({ flags: {}, env: { LOG_FILE: join(cwd, 'daemon.log'), ...env }, cwd })
  const { log } = openNodeLog(config, logLevelOf(config))
  for (let line = 0; line < megabytes * 8; line++) log.info({ line }, 'word '.repeat(MB / 8 / 5))
  return { cwd, files: readdirSync(cwd).sort() }
}

effect(['LOG_FILE', 'LOG_ROTATION_ENABLED'], 'without rotation all lines are in that one file', async () => {
  const { cwd, files } = logged(2, { LOG_ROTATION_ENABLED: 'false', LOG_MAX_SIZE: '1' })

  expect(files).toEqual(['daemon.log'])
  expect(readFileSync(join(cwd, 'daemon.log'), 'utf8').split('\n')).toHaveLength(17)
})

effect(['LOG_MAX_SIZE', 'LOG_MAX_FILES'], 'a full file is followed by another, and the oldest goes', async () => {
  expect(logged(5, { LOG_MAX_SIZE: '1', LOG_MAX_FILES: '2' }).files).toEqual(['daemon.1.log', 'daemon.log'])
  expect(logged(2, { LOG_MAX_SIZE: '50', LOG_MAX_FILES: '2' }).files).toEqual(['daemon.log'])
})
