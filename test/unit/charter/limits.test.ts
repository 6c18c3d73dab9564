/**
 * What the charter lets a worker take on.
 */
import { expect, test } from 'vitest'
import { workerLimits } from '../../../src/assembly/charter-parts.js'
import { charterSchema } from '../../../src/charter/schema.js'
import { loadConfig } from '../../../src/config/load.js'

const config = loadConfig({ flags: {}, env: { DAEMON_MAX_SESSIONS: '10' }, cwd: '/nowhere' })

test.each([
  [{ maxSessions: 4 }, { maxSessions: 4, maxConcurrentTasks: undefined }],
  [
    { maxSessions: 40, maxConcurrentTasks: 2 },
    { maxSessions: 10, maxConcurrentTasks: 2 },
  ],
  [{}, { maxSessions: 10, maxConcurrentTasks: undefined }],
])('%j is %j beside ten of the settings', (resourceLimits, expected) => {
  expect(workerLimits(config, charterSchema.parse({ resourceLimits }))).toEqual(expected)
})
