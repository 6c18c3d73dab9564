/**
 * `audit list` and `audit verify` as a shell sees them: what they print, and how they end.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Shell } from '../support/command-line.js'

let shell: Shell
let database: pg.Client
beforeAll(async () => {
  shell = await Shell.open()
  expect(await shell.run('migrate')).toMatchObject({ code: 0 })
  const [, url] = /DATABASE_URL=(.*)/.exec(await readFile(join(shell.folder, '.env'), 'utf8')) ?? []
  database = new pg.Client({ connectionString: url })
  await database.connect()
  await database.query(
    `insert into audit_log (tenant, actor, action, session_id, subject, detail)
     select 'acme', 'alice', 'tool.denied', 'session_1', 'call-' || n, '{"reason":"\\u001b[2Jno"}'
     from generate_series(1, 10) n`,
  )
  await database.query(
    `insert into audit_log (tenant, actor, action, subject, detail) values ('.service', 'eve@host', 'cluster.drain', 'w@1', '{}')`,
  )
})
afterAll(async () => {
  await database?.end()
  await shell?.close()
})

interface Verdict {
  readonly ok: boolean
  readonly chains: readonly {
    readonly tenant: string
    readonly rows: number
    readonly head: { readonly seq: number; readonly hash: string }
    readonly broken?: { readonly seq: number; readonly problem: string }
  }[]
}

const verify = async (...args: string[]) => {
  const { code, stdout } = await shell.run('audit', 'verify', '--json', ...args)
  return { code, ...(JSON.parse(stdout) as Verdict) }
}

test('a list shows the newest entries, and nothing in it moves the cursor', async () => {
  const { code, stdout } = await shell.run('audit', 'list', '--tenant', 'acme', '--limit', '3')
  const json = await shell.run('audit', 'list', '--json', '--action', 'cluster')

  expect(code).toBe(0)
  expect(stdout.trim().split('\n')).toHaveLength(4)
  expect(stdout).toContain('acme/10')
  expect(stdout).not.toContain('\u001b[2J')
  expect(
    json.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toMatchObject([{ tenant: '.service', actor: 'eve@host', action: 'cluster.drain', subject: 'w@1' }])
})

test('a whole log is said to be whole, and what is not is named, with exit code 1', async () => {
  const before = await verify()
  expect(before).toMatchObject({ code: 0, ok: true })
  expect(before.chains.map(({ tenant, rows }) => [tenant, rows])).toEqual([
    ['.service', 1],
    ['acme', 10],
  ])
  const anchor = join(shell.folder, 'anchor.json')
  await writeFile(anchor, JSON.stringify(before))
  expect(await verify('--anchor', anchor)).toMatchObject({ code: 0, ok: true })

  await database.query(`update audit_log set actor = 'mallory' where tenant = 'acme' and seq = 4`)

  const after = await shell.run('audit', 'verify')
  expect(after.code).toBe(1)
  expect(after.stdout).toContain('acme: row 4: ')
  expect(after.stdout).toContain('.service: 1 rows')
  expect(after.stderr).toContain('acme is broken at row 4')
  expect(await verify('--tenant', '.service')).toMatchObject({ code: 0, ok: true })
  expect(await verify('--tenant', 'acme')).toMatchObject({ code: 1, ok: false, chains: [{ broken: { seq: 4 } }] })
  await database.query(`update audit_log set actor = 'alice' where tenant = 'acme' and seq = 4`)

  await database.query('delete from audit_heads; delete from audit_log')
  expect(await verify()).toMatchObject({ code: 0, chains: [] })
  expect(await verify('--anchor', anchor)).toMatchObject({ code: 1, ok: false })
})

test('a change of the log level of a node is noted', async () => {
  const daemon = await shell.startDaemon('--port', '0')
  const ready = daemon.lines.find((line) => line.includes('"msg":"ready"')) ?? '{}'
  const url = `http://127.0.0.1:${JSON.parse(ready).metricsPort}/loglevel`
  const change = (body: object) => fetch(url, { method: 'POST', body: JSON.stringify(body) })

  await change({ level: 'error' })
  await change({ level: 'error' })
  await change({ reset: true })
  await daemon.stop()

  const { stdout } = await shell.run('audit', 'list', '--json', '--action', 'log.level')
  const noted = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { actor: string; detail: unknown })
  expect(noted).toMatchObject([{ detail: { level: 'info' } }, { actor: 'operator', detail: { level: 'error' } }])
})

test('what cannot be checked is not said to be whole', async () => {
  const missing = await shell.run('audit', 'verify', '--anchor', join(shell.folder, 'missing.json'))

  expect(missing).toMatchObject({ code: 1, stdout: '' })
  expect(missing.stderr).toContain('missing.json is not what')
})
