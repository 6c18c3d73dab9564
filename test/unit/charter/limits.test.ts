/**
 * What the charter lets a node take on: of each limit the stricter one, wherever it stands.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { charteredHeapMb, OpenCharter, windowSettings, workerLimits } from '../../../src/assembly/charter-parts.js'
import { limitsOf } from '../../../src/charter/limits.js'
import { type CharterInput, charterSchema } from '../../../src/charter/schema.js'
import { hasHeapLimit, usualHeapMb } from '../../../src/cli/heap-limit.js'
import { loadConfig } from '../../../src/config/load.js'
import { silentLog } from '../../../src/telemetry/log.js'

const configOf = (env: Record<string, string>) => loadConfig({ flags: {}, env, cwd: '/nowhere' })
const config = configOf({ DAEMON_MAX_SESSIONS: '10', DAEMON_MAX_CONTEXT_TOKENS: '8000' })
const charter = (input: CharterInput) => charterSchema.parse(input)

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'charter-limits-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

test.each([
  [{ maxSessions: 4 }, { maxSessions: 4, maxConcurrentTasks: undefined }],
  [
    { maxSessions: 40, maxConcurrentTasks: 2 },
    { maxSessions: 10, maxConcurrentTasks: 2 },
  ],
  [{}, { maxSessions: 10, maxConcurrentTasks: undefined }],
])('%j is %j beside ten of the settings', (resourceLimits, expected) => {
  expect(workerLimits(config, limitsOf(charter({ resourceLimits })))).toEqual(expected)
})

test('a limit that stands in several places is the smallest of them', () => {
  const limits = limitsOf(
    charter({
      resourceLimits: { maxHeapMB: 900, memory: { maxHeapMB: 700, maxContextTokens: 5_000 } },
      memory: { maxHeapMB: 800, maxContextTokens: 6_000 },
    }),
  )

  expect(limits).toEqual({ maxHeapMb: 700, maxContextTokens: 5_000, tokens: {} })
})

test('G-04: tokens are limited for a session and for each period', () => {
  const tokenBudget = { hourly: 1, daily: 2, weekly: 3, monthly: 4 }

  const { tokens } = limitsOf(charter({ resourceLimits: { maxTokensPerSession: 5, tokenBudget } }))

  expect(tokens).toEqual({ session: 5, ...tokenBudget })
})

test('the window of a conversation shrinks and grows with the charter, up to that of the settings', () => {
  const open = new OpenCharter(config, charter({ memory: { maxContextTokens: 100 } }), silentLog)
  const window = windowSettings(config, open)
  const onChanged = vi.fn()
  open.onChanged(onChanged)

  const before = window.maxTokens
  open.adopt(charter({ memory: { maxContextTokens: 9_000 } }))

  expect([before, window.maxTokens]).toEqual([100, 8_000])
  expect(onChanged).toHaveBeenCalledOnce()
})

test.each([
  ['the charter', 'memory: {maxHeapMB: 300}', {}, 300],
  ['the settings', 'memory: {maxHeapMB: 300}', { DAEMON_MAX_HEAP_MB: '256' }, 256],
  ['nobody', 'name: x', {}, undefined],
  ['the settings, where the charter is wrong', 'memory: {maxHeapMB: lots}', { DAEMON_MAX_HEAP_MB: '512' }, 512],
])('the heap that a daemon starts with is limited by %s', async (_who, text, env, expected) => {
  const file = join(folder(), 'charter.yaml')
  writeFileSync(file, text)

  expect(await charteredHeapMb(configOf({ CHARTER_FILE: file, ...env }))).toBe(expected)
})

test('the charter of the organisation that was kept last limits the heap too', async () => {
  const cache = folder()
  writeFileSync(join(cache, 'charter.yaml'), 'memory: {maxHeapMB: 900}')
  writeFileSync(join(cache, 'acme.json'), JSON.stringify({ charter: { resourceLimits: { maxHeapMB: 400 } } }))
  const env = { CHARTER_FILE: join(cache, 'charter.yaml'), CHARTER_CACHE_DIR: cache }

  expect(await charteredHeapMb(configOf({ ...env, CHARTER_ORGANIZATION_ID: 'acme' }))).toBe(400)
  expect(await charteredHeapMb(configOf({ ...env, CHARTER_ORGANIZATION_ID: 'umbrella' }))).toBe(900)
})

test('no session may read the key of the service, nor its settings', () => {
  const [DAEMON_TLS_KEY_FILE, WUNDR_CONFIG_PATH] = ['/srv/tls/tls.key', join(folder(), 'settings.yaml')]
  writeFileSync(WUNDR_CONFIG_PATH, 'openai: {apiKey: secret}')
  const files = { DAEMON_TLS_CERT_FILE: '/srv/tls/tls.crt', DAEMON_TLS_KEY_FILE, WUNDR_CONFIG_PATH }
  const { gate } = new OpenCharter(configOf(files), charter({}), silentLog)
  const decisionOn = (path: string) =>
    gate.judge({ tool: 'bash_execute', input: { command: `cat ${path}` }, workspace: '/work/spaces/session_a' })
      .decision

  expect([DAEMON_TLS_KEY_FILE, WUNDR_CONFIG_PATH].map(decisionOn)).toEqual(['deny', 'deny'])
  expect(decisionOn('/srv/tls/notes')).toBe('allow')
})

test('a program that has more heap than the charter says is told so, because V8 takes no limit later', () => {
  const warn = vi.fn()
  const open = new OpenCharter(config, charter({ memory: { maxHeapMB: 64 } }), { ...silentLog, warn })

  open.checkHeap()
  open.adopt(charter({ memory: { maxHeapMB: 1_000_000 } }))
  open.checkHeap()

  expect(warn).toHaveBeenCalledOnce()
  expect(warn).toHaveBeenCalledWith(expect.objectContaining({ maxHeapMb: 64 }), expect.stringContaining('next start'))
})

test.each([
  [undefined, [], false],
  ['--max-old-space-size=300', [], true],
  ['--max-old-space-size=200', [], true],
  ['--max-old-space-size=4096', [], false],
  ['--max-old-space-size=4096', ['--max-old-space-size=300'], true],
])('with %s and %j a process keeps to 300 MB: %s', (NODE_OPTIONS, args, keeps) => {
  expect(hasHeapLimit({ maxHeapMb: 300, isSetting: true }, { NODE_OPTIONS }, args)).toBe(keeps)
})

test.each([
  ['a setting that asks for more', { maxHeapMb: 300, isSetting: true }, false],
  ['a charter that allows more', { maxHeapMb: 300, isSetting: false }, true],
  ['nobody', { maxHeapMb: undefined, isSetting: false }, true],
])('of a program that was started with 200 MB as usual, %s is content: %#', (_who, limit, keeps) => {
  expect(hasHeapLimit(limit, {}, ['--max-old-space-size=200'])).toBe(keeps)
})

test('a start that has the choice takes 2048 MB, or less, where nobody has said anything', () => {
  const nobody = { maxHeapMb: undefined, isSetting: false }
  const usual = usualHeapMb(nobody, {}, []) ?? 0
  expect([usual > 0, usual <= 2048]).toEqual([true, true])

  expect(usualHeapMb({ maxHeapMb: 5_000, isSetting: true }, {}, [])).toBe(5_000)
  expect(usualHeapMb({ maxHeapMb: 100, isSetting: false }, {}, [])).toBe(100)
  expect(usualHeapMb({ maxHeapMb: 5_000, isSetting: false }, {}, [])).toBe(usual)
  expect(usualHeapMb(nobody, { NODE_OPTIONS: '--max-old-space-size=9000' }, [])).toBeUndefined()
  expect(usualHeapMb(nobody, {}, ['--max_old_space_size=9000'])).toBeUndefined()
})
