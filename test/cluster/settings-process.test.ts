/**
 * Settings of the program as a user starts it take effect: what it logs, how much memory it may use, and how it ends
 * when that took a second process.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { ClusterProcess } from '../support/cluster-process.js'
import { effect } from '../support/settings-fixture.js'

const PATIENCE = { timeout: 30_000, interval: 20 } as const
/** Every process says how much its heap may hold, before anything else. */
const TELL_HEAP = `console.log('heap', process.pid, require('v8').getHeapStatistics().heap_size_limit / 1048576)`
/** A new database on a machine with other work: far more than it takes alone. */
const START_MS = 60_000
const MAX_HEAP_MB = 300
/** V8 adds its young generation to what is asked for. */
const YOUNG_GENERATION_MB = 100

async function run(env: Record<string, string>, args: readonly string[] = [], files: Record<string, string> = {}) {
  const cwd = await mkdtemp(join(tmpdir(), 'settings-process-'))
  for (const [name, text] of Object.entries(files)) await writeFile(join(cwd, name), text)
  const daemon = new ClusterProcess({
    args: ['start', ...args],
    cwd,
    env: { DAEMON_PORT: '0', METRICS_PORT: '0', ...env },
  })
  onTestFinished(async () => {
    await daemon.stop()
    await rm(cwd, { recursive: true, force: true })
  })
  return daemon
}

async function runWithHeap(env: Record<string, string> = {}) {
  const preload = join(await mkdtemp(join(tmpdir(), 'settings-preload-')), 'heap.cjs')
  onTestFinished(() => rm(join(preload, '..'), { recursive: true, force: true }))
  await writeFile(preload, TELL_HEAP)
  const NODE_OPTIONS = `--require ${preload} ${env.NODE_OPTIONS ?? ''}`.trim()
  const daemon = await run({ DAEMON_MAX_HEAP_MB: String(MAX_HEAP_MB), ...env, NODE_OPTIONS })
  await daemon.waitForLine(/"msg":"ready"/, START_MS)
  const heaps = daemon.lines.flatMap((line) => {
    const [, pid, limitMb] = /^heap (\d+) ([\d.]+)/.exec(line) ?? []
    return pid === undefined ? [] : [{ pid: Number(pid), limitMb: Number(limitMb) }]
  })
  return { daemon, limitMb: heaps.at(-1)?.limitMb ?? 0, pid: heaps.at(-1)?.pid ?? 0 }
}

effect(['DAEMON_MAX_HEAP_MB'], 'V8 has that limit, and SIGTERM ends it with 0', async () => {
  const { daemon, limitMb } = await runWithHeap()

  daemon.kill('SIGTERM')

  expect(limitMb).toBeGreaterThanOrEqual(MAX_HEAP_MB)
  expect(limitMb).toBeLessThan(MAX_HEAP_MB + YOUNG_GENERATION_MB)
  expect(await daemon.ended).toBe(0)
})

test('a signal to the whole group is one signal', async () => {
  const { daemon, pid } = await runWithHeap()

  daemon.kill('SIGTERM')
  process.kill(pid, 'SIGTERM')

  expect(await daemon.ended).toBe(0)
})

test('a daemon that was killed leaves no process behind', async () => {
  const { daemon, pid } = await runWithHeap()
  expect(pid).not.toBe(daemon.pid)

  daemon.kill('SIGKILL')

  await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow('ESRCH'), PATIENCE)
})

test('a limit that Node.js has been given already needs no second process', async () => {
  const { daemon, pid } = await runWithHeap({ NODE_OPTIONS: `--max-old-space-size=${MAX_HEAP_MB}` })

  expect(pid).toBe(daemon.pid)
})

test('V8 has the limit of the charter, where it is smaller', async () => {
  const file = join(await mkdtemp(join(tmpdir(), 'settings-charter-')), 'charter.yaml')
  onTestFinished(() => rm(join(file, '..'), { recursive: true, force: true }))
  await writeFile(file, `resourceLimits: {maxHeapMB: ${MAX_HEAP_MB}}\n`)

  const { limitMb, daemon } = await runWithHeap({ CHARTER_FILE: file, DAEMON_MAX_HEAP_MB: '2048' })

  expect(limitMb).toBeGreaterThanOrEqual(MAX_HEAP_MB)
  expect(limitMb).toBeLessThan(MAX_HEAP_MB + YOUNG_GENERATION_MB)
  expect(daemon.lines.join('\n')).not.toContain('may take more memory than the charter says')
})

effect(['DEBUG', 'DAEMON_VERBOSE'], 'either logs what is otherwise left out', async () => {
  const missing = { DATA_DIR: '/dev/null/nowhere', LOG_LEVEL: 'error' }
  const [quiet, debug, verbose] = await Promise.all([
    run(missing),
    run({ ...missing, DEBUG: '*' }),
    run({ ...missing, DAEMON_VERBOSE: 'true' }),
  ])
  await Promise.all([quiet.ended, debug.ended, verbose.ended])

  const isDebug = (line: string) => line.includes('"level":"debug"')
  expect(quiet.lines.filter(isDebug)).toEqual([])
  expect(debug.lines.some(isDebug)).toBe(true)
  expect(verbose.lines.some(isDebug)).toBe(true)
})

effect(['WUNDR_CONFIG_PATH'], 'the settings of that file hold, and it is warned of what has no effect', async () => {
  const file = 'name: from-the-file\ncluster:\n  federationPort: 5000\n'
  const daemon = await run({}, ['--config', 'my.yaml'], { 'my.yaml': file })

  const [ready] = await daemon.waitForLine(/^.*"msg":"ready".*$/, START_MS)

  expect(JSON.parse(ready)).toMatchObject({ name: 'from-the-file' })
  expect(daemon.tail()).toContain('cluster.federationPort in my.yaml has no effect')
})
