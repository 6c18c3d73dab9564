/**
 * Directories of processes of Claude Code: fresh, their own, and gone with them or with their worker.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { environment, openHome, removeHomesOfTheDead } from '../../../src/runtimes/claude/environment.js'

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

test('a home is empty, nobody else may enter it, and it can be removed', async () => {
  const home = await openHome()
  expect(await readdir(home.root)).toEqual(['t'])
  expect((await stat(home.root)).mode & 0o777).toBe(0o700)
  await home.remove()
  expect(await exists(home.root)).toBe(false)
})

test('homes of workers that are dead are removed, and those of the living stay', async () => {
  const ended = spawn('true')
  await once(ended, 'exit')
  const left = await mkdtemp(join(tmpdir(), `cc-${ended.pid}-`))
  const [home, other] = [await openHome(), await mkdtemp(join(tmpdir(), 'cc-notes-'))]
  onTestFinished(async () => {
    await home.remove()
    await rm(other, { recursive: true })
  })

  await removeHomesOfTheDead()

  expect(await Promise.all([left, home.root, other].map(exists))).toEqual([false, true, true])
})

test('the environment of Claude Code has nothing of ours', async () => {
  process.env.SECRET_OF_THE_DAEMON = 'do not tell'
  const home = await openHome()
  onTestFinished(() => home.remove())
  const words = environment(home, 'http://127.0.0.1:1', 'pass-1')
  expect(JSON.stringify(words)).not.toContain('do not tell')
  expect(words).toMatchObject({ ANTHROPIC_API_KEY: 'pass-1', ANTHROPIC_BASE_URL: 'http://127.0.0.1:1' })
})
