/**
 * One node whose wall clock is an hour off, by libfaketime; its monotonic clock is right, as it is on real machines.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from './fault.js'
import { pick } from './victims.js'

const MIN_MS = 4_000
const MAX_MS = 8_000
const LIBRARY = 'faketime/libfaketime.so.1'

/** Where Debian, Fedora and Alpine put it; undefined when it is not installed. */
export function faketimeLibrary(): string | undefined {
  const debian = existsSync('/usr/lib') ? readdirSync('/usr/lib').filter((name) => name.endsWith('-linux-gnu')) : []
  const folders = [...debian.map((name) => join('/usr/lib', name)), '/usr/lib64', '/usr/lib', '/usr/local/lib']
  return folders.map((folder) => join(folder, LIBRARY)).find((path) => existsSync(path))
}

export const clockSkew: Fault = {
  test: 'T15',
  title: 'a node whose clock is an hour off',
  needs: {},
  weight: 1,
  async run(stage) {
    const { nodes, random } = stage
    const library = faketimeLibrary()
    if (library === undefined) throw new Error('libfaketime is not installed')
    const node = pick(nodes.running(), random)
    const mark = await stage.begin({ kind: 'clock-skew', node })
    await node.process.crash()
    await stage.restart(node, {
      LD_PRELOAD: library,
      FAKETIME: random(0, 1) === 0 ? '+1h' : '-1h',
      // Two names: versions differ.
      DONT_FAKE_MONOTONIC: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    })
    await sleep(random(MIN_MS, MAX_MS))
    await node.process.crash()
    await stage.restart(node)
    mark.healed()
  },
}
