/**
 * What becomes of commands when the process that started them freezes, dies, or loses their supervisor.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { temporaryWorkspace } from './tool-call.js'

const PROGRAM = fileURLToPath(new URL('./supervised-program.ts', import.meta.url))
const WAIT = { timeout: 10_000, interval: 20 }
vi.setConfig({ testTimeout: 30_000 })

let workspace: string
let temporary: string
beforeEach(async () => {
  workspace = await temporaryWorkspace()
  temporary = await temporaryWorkspace()
})

/** Runs a command in a process of its own, which beats every 100 ms for 500 ms each when it is told to. */
async function run(command: string, beats: 'beats' | 'silent' = 'silent'): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['--import', 'tsx', PROGRAM, workspace, command, beats], {
    env: { ...process.env, TMPDIR: temporary },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  await vi.waitFor(async () => expect(await read('leader')).toMatch(/\d+\n/), WAIT)
  return child
}

const read = (file: string): Promise<string> => readFile(join(workspace, file), 'utf8').catch(() => '')

/** What state the kernel says a process is in, whose id stands in a file of the workspace; '' when there is none. */
async function stateOf(file: string): Promise<string> {
  const stat = await readFile(`/proc/${Number(await read(file))}/stat`, 'utf8').catch(() => '')
  return stat.slice(stat.lastIndexOf(')') + 2).charAt(0)
}

/** A zombie runs no more; it waits for this machine's init. */
const isGone = async (file: string): Promise<boolean> => ['', 'Z', 'X'].includes(await stateOf(file))

const WITH_CHILDREN = `
  (trap '' TERM HUP; echo $BASHPID > stubborn; while :; do sleep 0.1; done) &
  setsid bash -c 'echo $$ > beside; while :; do sleep 0.1; done' &
  until [ -s stubborn ] && [ -s beside ]; do sleep 0.02; done
  echo $$ > leader; while :; do echo tick >> ticks; sleep 0.05; done`
const ALL = ['leader', 'stubborn', 'beside']

test('kill -9 of the process ends its commands and all they started, and leaves nothing behind', async () => {
  const child = await run(WITH_CHILDREN)

  const killedAt = performance.now()
  child.kill('SIGKILL')

  for (const file of ALL) await vi.waitFor(async () => expect([file, await isGone(file)]).toEqual([file, true]), WAIT)
  console.info(`commands were gone ${Math.round(performance.now() - killedAt)} ms after their process`)
  const left = async () => (await readdir(temporary)).filter((name) => name.startsWith('supervisor'))
  await vi.waitFor(async () => expect(await left()).toEqual([]), WAIT)
})

test('a process that does not beat keeps its commands', async () => {
  await run(WITH_CHILDREN)
  await sleep(1_000)

  const before = await read('ticks')
  await vi.waitFor(async () => expect((await read('ticks')).length).toBeGreaterThan(before.length), WAIT)
})

test('without acknowledged beats commands are suspended, and go on with the next one', async () => {
  const child = await run(WITH_CHILDREN, 'beats')

  child.kill('SIGSTOP')

  for (const file of ALL) await vi.waitFor(async () => expect([file, await stateOf(file)]).toEqual([file, 'T']), WAIT)
  const frozen = await read('ticks')
  await sleep(300)
  expect(await read('ticks')).toBe(frozen)
  child.kill('SIGCONT')
  await vi.waitFor(async () => expect((await read('ticks')).length).toBeGreaterThan(frozen.length), WAIT)
})

test('kill -9 of a frozen process ends its suspended commands', async () => {
  const child = await run(WITH_CHILDREN, 'beats')
  child.kill('SIGSTOP')
  await vi.waitFor(async () => expect(await stateOf('leader')).toBe('T'), WAIT)

  child.kill('SIGKILL')

  for (const file of ALL) await vi.waitFor(async () => expect([file, await isGone(file)]).toEqual([file, true]), WAIT)
})

test('a command whose supervisor is killed ends, and the next one is watched again', async () => {
  const child = await run(`echo $$ > leader; while :; do sleep 0.1; done`)
  const first = await read('leader')
  const supervisor = Number(/supervisor:(\d+)/.exec(await read('supervisor'))?.[1])

  process.kill(supervisor, 'SIGKILL')

  // The program runs the same command once more when it has ended.
  await vi.waitFor(async () => expect(await read('leader')).not.toBe(first), WAIT)
  child.kill('SIGKILL')
  await vi.waitFor(async () => expect(await isGone('leader')).toBe(true), WAIT)
})
