/**
 * `npm run test:compose`: builds the image, starts
 * docker-compose.cluster.yml under a name and a port of its own, and puts clients behind its load balancer while a worker is
 * killed, an edge is paused, a network is cut, workers are scaled to eight, and edges and workers are replaced by a new
 * image. In the end the journals of all clients are compared with what Redis and PostgreSQL hold. `--variants` instead
 * starts the cluster with Sentinels, then on a Redis Cluster, with one session each.
 *
 * Exit codes: 0 everything is right, 1 something is not, 2 bad options, 77 it cannot be done on this machine.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Judgement } from '../../src/chaos/judgement.js'
import { temporaryFolder } from '../../src/chaos/servers/watchdog.js'
import { Teardown } from '../../src/chaos/teardown.js'
import { verdictTable } from '../../src/chaos/verdict-table.js'
import { readOptions } from '../usage.js'
import { firstSession } from './first-session.js'
import { buildImages, imageFaults, imagesOf, megabytes, removeImages, sizeOf } from './image.js'
import { runUnderLoad } from './loaded-run.js'
import { obstacle } from './machine.js'
import { FILE, Project } from './project.js'

const EXIT = { ok: 0, failed: 1, skipped: 77 } as const
/** Of everything after the build, which has a limit of its own: five minutes on two cores that have other work too. */
const LIMIT_MS = 600_000
const SECOND_MS = 1_000
const VARIANTS = ['sentinel', 'redis-cluster']

const USAGE = `npm run test:compose [-- options]     the Compose cluster in containers, under load and faults

  --seed <n>       of the load; by chance when left out
  --rate <n>       quick commands a second; default 100
  --variants       instead, whether the variants with Sentinel and with a Redis Cluster start and take a session
  --keep           leave the folder of journals where it is
`

const values = readOptions(USAGE, {
  seed: { type: 'string', default: `${Math.floor(Math.random() * 2 ** 31)}` },
  rate: { type: 'string', default: '100' },
  keep: { type: 'boolean', default: false },
  variants: { type: 'boolean', default: false },
})
const began = performance.now()
const faults: string[] = []
const teardown = new Teardown()
let interrupt: (reason: string) => void = () => {}
const interrupted = new Promise<never>((_resolve, reject) => {
  interrupt = (reason) => reject(new Error(reason))
})

const seconds = (since: number): string => `${((performance.now() - since) / SECOND_MS).toFixed(1)} s`
const tell = (sentence: string): void => console.info(`${seconds(began).padStart(8)}  ${sentence}`)

/** Does it, and tells how long it took. */
async function timed<T>(what: string, doing: Promise<T>): Promise<T> {
  const since = performance.now()
  const result = await doing
  tell(`${what} after ${seconds(since)}`)
  return result
}

async function main(): Promise<number> {
  const reason = await obstacle(teardown)
  if (reason !== undefined) {
    console.warn(`SKIPPED: the Compose cluster is not tested, because ${reason}`)
    return EXIT.skipped
  }
  const name = `orchestrator-test-${process.pid}`
  const images = imagesOf(name)
  tell(`project ${name}, seed ${values.seed}`)
  teardown.add('the images', () => removeImages(images))
  await timed('images built', buildImages(images))
  const [full, slim] = await Promise.all([sizeOf(images.full), sizeOf(images.slim)])
  tell(`the image has ${megabytes(full)}, without the Claude Agent SDK ${megabytes(slim)}`)
  setTimeout(() => interrupt(`not done within ${LIMIT_MS / SECOND_MS} s`), LIMIT_MS)
  faults.push(...(await timed('images looked into', imageFaults(images))))
  const folder = temporaryFolder()
  if (!values.keep) teardown.add('the temporary folder', () => folder.remove())
  if (values.variants) for (const variant of VARIANTS) await tryVariant(`${name}-${variant}`, images.slim, variant)
  else await tryCluster(new Project(name, join(folder.path, 'project'), images.full), images.next, folder.path)
  return faults.length === 0 ? EXIT.ok : EXIT.failed
}

async function tryCluster(project: Project, next: string, folder: string): Promise<void> {
  await project.prepare()
  faults.push(...(await project.startsWithoutSecret()))
  await timed(`${FILE} healthy`, project.start(teardown))
  const journals = join(folder, 'journals')
  mkdirSync(journals)
  const options = { project, folder: journals, seed: Number(values.seed), rate: Number(values.rate), next, tell }
  report(await runUnderLoad(options, teardown))
  // Afterwards, because the checker knows only commands that the load has sent.
  note(await timed('a session through the balancer', firstSession(project)))
  await timed('down --volumes', project.remove())
  const left = await project.leftovers()
  if (left.length > 0) faults.push(`${left.length} containers, networks or volumes are left`)
}

function report({ verdict, complaints, load, ok }: Judgement): void {
  for (const line of verdictTable(verdict)) console.info(line)
  const { sent, ended, refused, repeated, duplicates } = load.counts
  tell(`${sent} commands sent, ${ended} ended, ${refused} refused, ${load.open} open; ${repeated} sent again by their`)
  tell(`clients and ${duplicates} by others; refusals: ${JSON.stringify(load.refusals)}`)
  faults.push(...complaints)
  if (!ok && complaints.length === 0) faults.push(`a guarantee was violated (seed ${values.seed})`)
  if (sent !== ended + refused) faults.push(`${sent} commands were sent, and ${ended} ended`)
}

async function tryVariant(name: string, image: string, variant: string): Promise<void> {
  const folder = temporaryFolder()
  // Added first, so removed last: the files that the project is removed by stand there.
  teardown.add('a temporary folder', () => folder.remove())
  const project = new Project(name, join(folder.path, 'project'), image, variant)
  await project.prepare()
  await timed(`${FILE} with deploy/compose.${variant}.yml healthy`, project.start(teardown))
  note(await timed('a session through the balancer', firstSession(project)))
  await timed('down --volumes', project.remove())
}

function note(fault: string | undefined): void {
  if (fault !== undefined) faults.push(fault)
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupt(signal))
const code = await Promise.race([main(), interrupted]).catch((error: unknown) => {
  faults.push(error instanceof Error ? error.message : String(error))
  return EXIT.failed
})
await teardown.run()
for (const fault of faults) console.error(`✗ ${fault}`)
if (code === EXIT.ok) console.info(`✓ Everything was checked and is right, after ${seconds(began)}`)
process.exit(code)
