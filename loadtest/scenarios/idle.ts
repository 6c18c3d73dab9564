/**
 * What the service takes when nobody asks anything of it: time from start to ready and memory of every role and of the
 * single process, and memory of an idle connection.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ServiceProcess } from '../../src/chaos/service-process.js'
import { Nodes } from '../cluster/cluster.js'
import { openLoadStores } from '../cluster/stores.js'
import { mintTokens, newSecret } from '../cluster/tokens.js'
import { LoadSocket } from '../generator/socket.js'
import { residentBytes } from '../measure/processes.js'
import { median } from '../measure/tables.js'
import type { Outcome, Stage } from './scenario.js'

const ROLES = ['worker', 'edge', 'coordinator'] as const
const DEFAULT_CONNECTIONS = 5_000
/** Opened before the first reading, so that what is allocated once does not count as theirs. */
const WARMUP_CONNECTIONS = 500
const OPENING_AT_ONCE = 50
/** Memory of a process that has just started or been busy goes on moving for a while. */
const SETTLE_MS = 3_000
const BYTES_PER_MB = 1_000_000
const BYTES_PER_KB = 1_000
/** A start is short beside what else a machine does: of so many, the median. */
const STARTS = 3

interface Start {
  readonly name: string
  readonly readyMs: number
  readonly residentMb: number
}

export async function idle(stage: Stage): Promise<Outcome> {
  const { connections = DEFAULT_CONNECTIONS } = stage.options
  const stores = await openLoadStores(stage.teardown)
  const secret = newSecret()
  const env = { ...stores.env, DAEMON_JWT_SECRET: secret, DAEMON_AUTH_MAX_CONNECTIONS: String(connections) }
  const nodes = new Nodes(stage.teardown, env)
  // The first process of all prepares the database, which is no role's own work.
  await (await started(nodes, 'edge', 'first')).node.stop()
  const starts = [...(await startsOfRoles(nodes)), ...(await startsAlone(stage))]
  for (const { name, readyMs } of starts) stage.say(`${name}: ready after ${readyMs} ms`)
  const edge = await started(nodes, 'edge', 'sockets')
  const socketBytes = await bytesPerSocket(edge.node, mintTokens(secret), connections)
  return {
    summary: `Start to ready and memory after ${SETTLE_MS / 1000} s; memory of ${connections} idle, authenticated sockets.`,
    versions: stores.versions,
    tables: [
      {
        head: ['process', 'start to ready', 'idle RSS'],
        rows: starts.map(({ name, readyMs, residentMb }) => [name, `${readyMs} ms`, `${residentMb} MB`]),
      },
      {
        head: ['measure', 'figure'],
        rows: [['RSS of the edge per 1,000 idle sockets', `${((socketBytes * 1000) / BYTES_PER_MB).toFixed(2)} MB`]],
      },
    ],
    notes: [`One idle socket: ${(socketBytes / BYTES_PER_KB).toFixed(1)} KB.`],
    figures: { starts, bytesPerSocket: Math.round(socketBytes) },
    faults: [],
  }
}

async function startsOfRoles(nodes: Nodes): Promise<Start[]> {
  const starts: Start[] = []
  for (const role of ROLES) {
    const runs: Start[] = []
    for (let run = 0; run < STARTS; run++) {
      const { node, readyMs } = await started(nodes, role, `${role}-${run}`)
      runs.push(await settled(role, node, readyMs))
      await node.stop()
    }
    starts.push(middle(runs))
  }
  return starts
}

/** One process with its built-in database: the first start makes it, later ones open it. */
async function startsAlone({ teardown }: Stage): Promise<Start[]> {
  const nodes = new Nodes(teardown, { DATA_DIR: '../data' })
  const first = await started(nodes, 'all', 'alone')
  const firstStart = await settled('standalone, first start', first.node, first.readyMs)
  await first.node.stop()
  const runs: Start[] = []
  for (let run = 0; run < STARTS; run++) {
    const { node, readyMs } = await started(nodes, 'all', `alone-${run}`)
    runs.push(await settled('standalone', node, readyMs))
    await node.stop()
  }
  return [firstStart, middle(runs)]
}

async function started(nodes: Nodes, role: 'all' | (typeof ROLES)[number], name: string) {
  const startedAt = performance.now()
  const node = nodes.start(role, name)
  await node.ready()
  return { node, readyMs: Math.round(performance.now() - startedAt) }
}

async function settled(name: string, node: ServiceProcess, readyMs: number): Promise<Start> {
  await sleep(SETTLE_MS)
  return { name, readyMs, residentMb: Math.round(residentBytes(node.pid) / BYTES_PER_MB) }
}

const middle = (runs: readonly Start[]): Start => ({
  name: runs[0]?.name ?? '',
  readyMs: median(runs.map(({ readyMs }) => readyMs)),
  residentMb: median(runs.map(({ residentMb }) => residentMb)),
})

async function bytesPerSocket(edge: ServiceProcess, tokens: readonly string[], connections: number): Promise<number> {
  const target = { host: '127.0.0.1', port: Number(new URL(edge.url).port) }
  const losses: string[] = []
  const sockets: LoadSocket[] = []
  const open = async (count: number): Promise<void> => {
    for (let at = 0; at < count; at += OPENING_AT_ONCE) {
      const batch = Array.from({ length: Math.min(OPENING_AT_ONCE, count - at) }, async (_, index) => {
        const socket = new LoadSocket(target, { onText: () => {}, onLost: (reason) => losses.push(reason) })
        sockets.push(socket)
        await socket.open('/', tokens[(at + index) % tokens.length] ?? '')
      })
      await Promise.all(batch)
    }
    await sleep(SETTLE_MS)
  }
  await open(WARMUP_CONNECTIONS)
  const before = residentBytes(edge.pid)
  await open(connections)
  const after = residentBytes(edge.pid)
  const lost = losses.length
  for (const socket of sockets) socket.close()
  if (lost > 0) throw new Error(`${lost} of the idle connections were lost: ${losses[0]}`)
  return (after - before) / connections
}
