/**
 * Server programs from the package manager, on a Debian or Ubuntu that we are root on.
 */
import { execFile } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import type { Found } from '../../src/chaos/servers/binaries.js'
import { dockerAnswers } from '../../src/chaos/servers/source.js'

const run = promisify(execFile)

/** Package mirrors can be slow, but a download that takes longer is not going to end. */
const INSTALL_TIMEOUT_MS = 600_000
const POLICY_FILE = '/usr/sbin/policy-rc.d'

let installing: Promise<void> | undefined

/** Installs both servers when neither `find` nor Docker has one and we may. */
export async function installUnlessFound(find: () => Promise<Found>): Promise<void> {
  if (!canInstall() || 'path' in (await find()) || (await dockerAnswers())) return
  await installServers()
}

export const canInstall = (): boolean =>
  process.getuid?.() === 0 && existsSync('/etc/debian_version') && existsSync('/usr/bin/apt-get')

/** Installs both servers with apt-get, once per process, without starting them as services. */
function installServers(): Promise<void> {
  installing ??= installPackages('redis-server', 'postgresql')
  return installing
}

/** Installs packages, without starting what is in them as services. */
export async function installPackages(...names: readonly string[]): Promise<void> {
  process.stderr.write(`Installing ${names.join(' and ')} with apt-get, once; this takes a minute …\n`)
  const hadPolicy = existsSync(POLICY_FILE)
  // Debian asks this file before it starts a service; 101 forbids it.
  if (!hadPolicy) writeFileSync(POLICY_FILE, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    await apt('update', '-q')
    await apt('install', '-y', '-q', '--no-install-recommends', '--no-upgrade', ...names)
  } finally {
    if (!hadPolicy) rmSync(POLICY_FILE, { force: true })
  }
}

async function apt(...args: string[]): Promise<void> {
  await run('apt-get', ['-o', 'DPkg::Lock::Timeout=300', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    timeout: INSTALL_TIMEOUT_MS,
    maxBuffer: 16 * 1024 * 1024,
  })
}
