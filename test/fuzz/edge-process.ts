/**
 * A process with an edge that is locked and keeps nothing: every session is unknown, nothing can be spawned. So whatever is
 * left in its memory when nobody is connected was left there by what came in. Run by `edge-under-fire.ts`.
 */
import { createMemoryBus } from '../../src/bus/memory-bus.js'
import type { EdgeDependencies } from '../../src/edge/dependencies.js'
import { Edge } from '../../src/edge/edge.js'
import { ServiceError } from '../../src/protocol/errors.js'
import { newNodeId } from '../../src/protocol/ids.js'
import { createMetrics } from '../../src/telemetry/metrics.js'
import type { FromEdge, ToEdge } from './edge-under-fire.js'

const MAX_MESSAGE_BYTES = 64 * 1024
const collect = (globalThis as { gc?: () => void }).gc
const send = (message: FromEdge): void => void process.send?.(message)

const nobody = async (): Promise<never> => {
  throw new ServiceError('unavailable', { reason: 'this edge keeps nothing' })
}

const metrics = createMetrics('fuzz')
const log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: (fields: { err?: unknown }, text: string) =>
    send({ type: 'error', text: `${text}: ${fields.err instanceof Error ? fields.err.stack : String(fields.err)}` }),
}

function dependencies(secret: string, bus: EdgeDependencies['bus']): EdgeDependencies {
  return {
    id: newNodeId('fuzz'),
    settings: {
      ...{ name: 'fuzz', version: '2.0.0', host: '127.0.0.1', port: 0, healthPath: '/health', dashboard: true },
      ...{ corsOrigins: ['http://localhost:3000'], maxPayloadBytes: MAX_MESSAGE_BYTES, heartbeatIntervalMs: 30_000 },
      ...{ shutdownTimeoutMs: 500, placement: 'least-loaded' },
      auth: {
        ...{ secret, mode: 'both', allowLoopback: false, issuer: 'fuzz', audience: 'fuzz', tokenLifetimeMs: 60_000 },
        apiKeys: [{ key: `${secret}-of-the-api`, clientId: 'keyholder', role: 'admin' }],
      },
      limits: { messages: undefined, connections: { perPrincipal: 100_000, perEdge: 100_000 } },
    },
    bus,
    view: { nodes: () => [], owners: () => new Map(), shardCount: 4 },
    approvals: { decide: async () => ({ status: 'missing' }), list: async () => [] },
    audit: { add: () => undefined },
    sessions: {
      ...{ reserve: nobody, releaseKey: nobody, find: async () => undefined, markSubmitted: nobody },
      listByTenant: async () => ({ sessions: [] }),
      countByTenant: async () => 0,
    },
    events: { page: async () => [], contains: async () => false, last: async () => undefined },
    status: { totals: nobody, subsystems: nobody },
    log,
    metrics: metrics.edge,
    pages: undefined,
    sharedLimits: undefined,
    federation: undefined,
    scheduling: { schedule: nobody, list: async () => [], cancel: nobody, cancelTask: async () => undefined },
    http: {
      ...{ idleSessions: async () => [], turns: async () => ({ turns: [] }), audit: async () => [] },
      artifacts: { page: async () => ({ artifacts: [] }), find: async () => undefined, content: async () => undefined },
      budgets: { uses: async () => [], report: nobody },
      memory: { search: async () => [], page: async () => [] },
      charter: () => ({ name: 'fuzz' }),
      cluster: { leader: async () => undefined, assignments: async () => [], loads: async () => new Map() },
    },
    v2: {
      memory: { search: async () => [], store: nobody, forget: async () => 0 },
      swarm: async () => undefined,
      settings: { read: () => new Map(), change: nobody },
      activity: { recent: async () => ({ at: new Date(), sessions: [] }), lastBefore: async () => undefined },
    },
  }
}

function fail(kind: string, error: unknown): void {
  send({ type: 'error', text: `${kind}: ${error instanceof Error ? error.stack : String(error)}` })
  process.exitCode = 1
}
process.on('unhandledRejection', (error) => fail('a rejection that nobody handles', error))
process.on('uncaughtException', (error) => {
  fail('an exception that nobody catches', error)
  // After the message has left.
  setTimeout(() => process.exit(1), 100)
})

const bus = await createMemoryBus()
const edge = new Edge(dependencies(process.argv[2] ?? '', bus))
await edge.start()
process.on('message', ({ type }: ToEdge) => {
  if (type === 'stop') void edge.stop().then(() => process.disconnect())
  else void measure()
})
send({ type: 'ready', port: edge.port })

async function measure(): Promise<void> {
  for (let n = 0; n < 3; n++) {
    collect?.()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const { heapUsed, external, arrayBuffers, rss } = process.memoryUsage()
  const page = (await metrics.page()).body.length
  send({
    type: 'memory',
    heapUsed,
    external: external + arrayBuffers,
    rss,
    connections: edge.connections,
    metricsChars: page,
  })
}
