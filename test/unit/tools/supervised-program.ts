/**
 * A process that runs one command as a tool would, under a supervisor, again and again: for tests that freeze or kill it.
 * Arguments: workspace, command, `beats` (100 ms apart, each holds 500 ms) or `silent`.
 */
import { closeSync, constants, openSync, writeFileSync, writeSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Supervisor } from '../../../src/runtimes/tools/supervisor.js'
import { standardTools } from '../../../src/runtimes/tools/toolbox.js'
import { caller } from './tool-call.js'

const BEAT_MS = 100
const HOLDS_MS = 500

function beatInto(pipe: string): number {
  setInterval(() => {
    const fd = openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK)
    writeSync(fd, `b${HOLDS_MS}\n`)
    closeSync(fd)
  }, BEAT_MS)
  return HOLDS_MS
}

/** The process that reads our pipe. */
async function findSupervisor(): Promise<string> {
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const words = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    if (words.includes('supervisor.sh') && words.includes(process.env.TMPDIR ?? '?')) return `supervisor:${pid}`
  }
  return ''
}

async function run(workspace: string, command: string, beats: string): Promise<void> {
  const supervisor = new Supervisor({ relayBeats: (pipe) => (beats === 'beats' ? beatInto(pipe) : 0) })
  await supervisor.watch()
  writeFileSync(join(workspace, 'supervisor'), await findSupervisor())
  const tools = caller(workspace, standardTools({ supervisor }))
  for (;;) await tools.outcome('bash_execute', { command, timeout: 60_000 })
}

// Only as a program, which gets its orders as arguments.
const [, program, workspace, command, beats] = process.argv
if (program?.endsWith('supervised-program.ts') && workspace && command && beats) await run(workspace, command, beats)
