/**
 * The scripts of the package and its systemd unit: they say what is so, and fit what they install to the machine.
 */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, onTestFinished, test } from 'vitest'
import { tellServiceManager } from '../../../src/cli/service-manager.js'
import { testAuthority } from '../../support/certificates.js'
import { propertyList } from '../../support/property-list.js'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const UNIT = 'deploy/systemd/orchestrator-daemon.service'

interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

async function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<Outcome> {
  try {
    return { code: 0, ...(await promisify(execFile)(program, [...args], { cwd: ROOT, env })) }
  } catch (error) {
    const { code, stdout = '', stderr = '' } = error as Outcome & { readonly code: number | string }
    if (typeof code !== 'number') throw error
    return { code, stdout, stderr }
  }
}

const whereIs = async (program: string): Promise<string | undefined> =>
  (await run('sh', ['-c', `command -v ${program}`])).stdout.trim() || undefined

/** A folder with these programs alone, for a PATH. */
async function pathWith(...programs: readonly string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'path-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  for (const program of programs) symlinkSync((await whereIs(program)) ?? program, join(folder, program))
  return folder
}

async function healthPage(status: number, certificate?: { certFile: string; keyFile: string }): Promise<string> {
  const answer: RequestListener = (request, response) => {
    response
      .writeHead(request.url === '/health' ? status : 404)
      .end(`{"status":"${status === 200 ? 'healthy' : 'no'}"}`)
  }
  const server = certificate
    ? createSecureServer({ cert: readFileSync(certificate.certFile), key: readFileSync(certificate.keyFile) }, answer)
    : createServer(answer)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return String((server.address() as AddressInfo).port)
}

describe('C-20: scripts/health-check.sh', () => {
  const check = (port: string, path: string | undefined, ...args: string[]) =>
    run('/bin/sh', [join(ROOT, 'scripts/health-check.sh'), ...args], { DAEMON_PORT: port, ...(path && { PATH: path }) })

  test.each(['curl', 'wget', 'node'])('tells with %s alone whether the daemon is healthy', async (program) => {
    // Whoever has none of them has Node.js, because the daemon runs on it.
    if (!(await whereIs(program))) return
    const path = await pathWith('sed', program)
    const [good, bad] = [await healthPage(200), await healthPage(503)]

    expect(await check(good, path)).toMatchObject({ code: 0, stdout: `healthy http://127.0.0.1:${good}/health\n` })
    expect(await check(bad, path)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('not healthy'),
    })
    expect(await check('1', path)).toMatchObject({ code: 1, stderr: expect.stringContaining('nothing answers') })
  })

  test.each(['curl', 'wget', 'node'])(
    'asks with %s over TLS where the daemon speaks it, for whatever name',
    async (program) => {
      if (!(await whereIs(program))) return
      const authority = testAuthority()
      onTestFinished(() => authority.remove())
      const files = authority.issue('agents.example.com', 'DNS:agents.example.com')
      const DAEMON_PORT = await healthPage(200, files)
      const PATH = await pathWith('sed', program)
      const ask = (...args: string[]) =>
        run('/bin/sh', [join(ROOT, 'scripts/health-check.sh'), ...args], {
          ...{ PATH, DAEMON_PORT, DAEMON_TLS_CERT_FILE: files.certFile },
        })

      expect(await ask()).toEqual({ code: 0, stdout: `healthy https://127.0.0.1:${DAEMON_PORT}/health\n`, stderr: '' })
      expect(await ask('--url', `https://127.0.0.1:${DAEMON_PORT}`), 'another address must be good').toMatchObject({
        code: 1,
      })
    },
  )

  test('prints the page, asks another address, and refuses what it does not know', async () => {
    const port = await healthPage(200)

    const json = await check('1', process.env.PATH, '--json', '--url', `http://127.0.0.1:${port}/`)
    expect([json.code, JSON.parse(json.stdout)]).toEqual([0, { status: 'healthy' }])
    expect(await check(port, process.env.PATH, '--jsno')).toMatchObject({ code: 1 })
    expect((await check(port, process.env.PATH, '--help')).stdout).toContain('scripts/health-check.sh [--json]')
  })
})

describe('the systemd unit', () => {
  test('is right in the eyes of systemd, where it is installed', async (context) => {
    if (!(await whereIs('systemd-analyze'))) return context.skip()

    expect(await run('systemd-analyze', ['verify', UNIT])).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  test('tells when the daemon is ready, reloads it, and stops it in time for its turns', () => {
    const unit = readFileSync(join(ROOT, UNIT), 'utf8')
    const drainSeconds = 900

    expect(unit).toContain('Type=notify\n')
    expect(unit).toContain('ExecReload=/bin/kill -HUP $MAINPID\n')
    expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1])).toBeGreaterThan(drainSeconds)
    // What tools need to have namespaces of their own.
    expect(unit).not.toMatch(/^(RestrictNamespaces|ProtectKernelTunables|ProtectKernelLogs|ProtectHostname)=/m)
  })

  test('hears from the daemon through systemd-notify, and only where it wants to', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'notify-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const told = join(folder, 'told')
    const script = `#!/bin/sh\necho "$* $NOTIFY_SOCKET" >> ${told}\n`
    writeFileSync(join(folder, 'systemd-notify'), script, { mode: 0o755 })
    const env = { PATH: `${folder}:${process.env.PATH}` }

    const unheard = ({ message }: Error) => expect.fail(message)

    tellServiceManager(env, unheard)
    tellServiceManager({ ...env, NOTIFY_SOCKET: '/run/socket' }, unheard)

    await expect.poll(() => readFileSync(told, 'utf8')).toBe('--ready /run/socket\n')
    const failed = new Promise<Error>((resolve) =>
      tellServiceManager({ PATH: '/nowhere', NOTIFY_SOCKET: 'x' }, resolve),
    )
    expect((await failed).message).toContain('systemd-notify')
  })
})

describe('C-22: scripts/install-service.sh', () => {
  const dryRun = (...args: string[]) => run('sh', ['scripts/install-service.sh', '--dry-run', ...args])
  const settingOf = (unit: string, name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1]

  test('fits the unit to this machine', async () => {
    const options = ['--port', '9000', '--log-dir', '/var/log/of-this-test', '--env-file', '/etc/of-this-test.env']
    const { code, stdout } = await dryRun('--system', ...options)

    expect(code).toBe(0)
    const [node, heap = '', ...rest] = settingOf(stdout, 'ExecStart')?.split(' ') ?? []
    expect([node, ...rest]).toEqual([await whereIs('node'), `${ROOT}dist/main.js`, 'start', '--port', '9000'])
    expect(Number(heap.replace('--max-old-space-size=', ''))).toBeGreaterThan(100)
    expect(Number(heap.replace('--max-old-space-size=', ''))).toBeLessThanOrEqual(2048)
    expect(settingOf(stdout, 'EnvironmentFile')).toBe('-/etc/of-this-test.env')
    expect(stdout).toContain('LOG_FILE=/var/log/of-this-test/daemon.log')
    expect(settingOf(stdout, 'ReadWritePaths')).toBe('/var/log/of-this-test')
    expect(settingOf(stdout, 'WantedBy')).toBe('multi-user.target')
  })

  test('for a user leaves out what only root may say, and reads the .env of the folder where it stands', async () => {
    const { stdout } = await dryRun()

    expect(settingOf(stdout, 'WorkingDirectory')).toBe(ROOT.replace(/\/$/, ''))
    expect(stdout).not.toMatch(/^(User|ProtectSystem|EnvironmentFile|StateDirectory)=/m)
    expect(settingOf(stdout, 'WantedBy')).toBe('default.target')
  })

  test('what it would install is right in the eyes of systemd', async (context) => {
    if (!(await whereIs('systemd-analyze'))) return context.skip()
    const folder = mkdtempSync(join(tmpdir(), 'units-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    for (const args of [['--system'], []]) {
      const file = join(folder, `orchestrator-${args.length}.service`)
      // The program is not built everywhere; systemd looks whether it is there.
      writeFileSync(file, (await dryRun(...args)).stdout)
      expect(await run('systemd-analyze', ['verify', file])).toMatchObject({ code: 0, stderr: '' })
    }
  })

  test('on macOS writes a property list that XML takes, whatever stands in its paths', async () => {
    const path = await pathWith('sh', 'node', 'dirname', 'cat', 'sed')
    writeFileSync(join(path, 'uname'), '#!/bin/sh\necho Darwin\n', { mode: 0o755 })
    const script = ['scripts/install-service.sh', '--dry-run']
    const install = async (...args: string[]) =>
      propertyList((await run('sh', [...script, ...args], { PATH: path, HOME: '/Users/ada' })).stdout)

    const plain = await install()
    const full = await install('--port', '9000', '--log-dir', '/logs/R&D <old>', '--env-file', '/etc/R&D.env')

    const [node, heap, ...rest] = plain.ProgramArguments as string[]
    expect([node, ...rest]).toEqual([join(path, 'node'), `${ROOT}dist/main.js`, 'start'])
    expect(heap).toMatch(/^--max-old-space-size=\d+$/)
    expect(plain).toMatchObject({
      ...{ Label: 'io.wundr.orchestrator-daemon', WorkingDirectory: ROOT.replace(/\/$/, ''), RunAtLoad: true },
      KeepAlive: { SuccessfulExit: false },
      EnvironmentVariables: {
        ...{ NODE_ENV: 'production', LOG_FILE: '/Users/ada/Library/Logs/orchestrator-daemon/daemon.log' },
      },
      StandardErrorPath: '/Users/ada/Library/Logs/orchestrator-daemon/daemon-error.log',
    })
    expect(full.ProgramArguments).toEqual([
      ...[node, heap, '--env-file=/etc/R&D.env', `${ROOT}dist/main.js`, 'start', '--port', '9000'],
    ])
    expect(full.EnvironmentVariables).toMatchObject({ LOG_FILE: '/logs/R&D <old>/daemon.log' })
    expect(full.StandardErrorPath).toBe('/logs/R&D <old>/daemon-error.log')
    expect(await run('sh', [...script, '--system'], { PATH: path, HOME: '/Users/ada' })).toMatchObject({
      ...{ code: 1, stderr: expect.stringContaining('launchd starts it') },
    })
  })

  test('the property list is right in the eyes of xmllint, where that is installed', async (context) => {
    if (!(await whereIs('xmllint'))) return context.skip()
    const path = await pathWith('sh', 'node', 'dirname', 'cat', 'sed')
    writeFileSync(join(path, 'uname'), '#!/bin/sh\necho Darwin\n', { mode: 0o755 })
    const { stdout } = await run('sh', ['scripts/install-service.sh', '--dry-run'], { PATH: path, HOME: '/Users/ada' })
    const file = join(path, 'daemon.plist')
    writeFileSync(file, stdout)

    expect(await run('xmllint', ['--noout', '--nonet', file])).toMatchObject({ code: 0, stderr: '' })
  })

  test('refuses what it does not know', async () => {
    expect(await dryRun('--prot', '1')).toMatchObject({ code: 1, stderr: 'unknown option --prot; see --help\n' })
    expect(await dryRun('--port', 'many')).toMatchObject({ code: 1, stderr: '--port must be a number, not "many"\n' })
    expect((await run('sh', ['scripts/install-service.sh', '--help'])).stdout).toContain('--uninstall [--system]')
  })
})

test('scripts may be executed', () => {
  for (const script of ['health-check', 'start', 'install-service']) {
    accessSync(join(ROOT, `scripts/${script}.sh`), constants.X_OK)
  }
})
