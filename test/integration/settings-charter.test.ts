/**
 * The settings of the charter take effect.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect } from 'vitest'
import { effect, settingsFolder, startWith } from '../support/settings-fixture.js'

const folder = settingsFolder()

afterAll(() => folder.remove())

effect(
  ['CHARTER_FILE'],
  'a charter that is wrong keeps the daemon from starting, with file, line and field',
  async () => {
    const file = join(folder.path, 'wrong.yaml')
    writeFileSync(file, 'name: x\nresourceLimits:\n  maxSessions: many\n')

    const start = startWith(folder.path, { CHARTER_FILE: file })

    await expect(start).rejects.toThrow(`${file}:3: resourceLimits.maxSessions: `)
  },
)

effect(['CHARTER_FILE'], 'a good one is used, and what matches nothing is said aloud', async () => {
  const file = join(folder.path, 'good.yaml')
  writeFileSync(file, 'name: careful\nsafetyHeuristics: {alwaysReject: [Wishful thinking]}\n')

  const { lines, stop } = await startWith(folder.path, { CHARTER_FILE: file })

  expect(lines.join('\n')).toContain('\\"Wishful thinking\\" in alwaysReject matches nothing')
  expect(lines.join('\n')).toMatch(/"name":"careful".*the charter holds for every session/)
  await stop()
})
