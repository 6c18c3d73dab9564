/**
 * What an edge counts: connections, messages by type and size, errors that clients were told, commands at the door.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { ERRORS } from '../protocol/errors.js'
import { CLIENT_MESSAGES, SERVER_MESSAGES, typeOfFrame, UNKNOWN } from './message-types.js'
import type { QueueMetrics, Queues } from './queue-metrics.js'
import { type Tally, TallyCounter, TallyHistogram } from './tally.js'

export interface EdgeMetrics {
  /** A client came, by this kind of credential, or left. */
  connections(change: 1 | -1, authMethod?: string): void
  /** A credential was refused. */
  refused(reason: string): void
  /** A message of a client; `messageType` is undefined when it could not be understood. */
  received(messageType: string | undefined, bytes: number): void
  sent(frames: readonly string[]): void
  /** A command is on its way to its worker. */
  submitted(): void
  /** A command was accepted by its worker, so long after it came. */
  accepted(seconds: number): void
  /** A command was refused because too much work was waiting. */
  busy(): void
  /** A command that was on its way ended without being accepted: a code of the error table. */
  dropped(reason: string): void
  /** A request over HTTP was answered; `endpoint` is one of the table's, never what a stranger asked for. */
  served(method: string, endpoint: string, status: number, seconds: number): void
  /** Reads these when the page is read. */
  watch(now: { readonly subscriptions: () => number; readonly waiting: () => number }): void
}

const SIZE_BOUNDS = [64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576]
/** From a look into memory to a command that waits for its worker, in seconds. */
const DURATION_BOUNDS = [0.005, 0.02, 0.1, 0.5, 2, 10]

export function edgeMetrics(registry: Registry, queues: Queues): EdgeMetrics {
  const commands = queues('commands')
  return {
    ...doorMetrics(registry, commands),
    ...connectionMetrics(registry),
    ...messageMetrics(registry),
    served: requestMetrics(registry),
    watch: watched(registry, commands),
  }
}

function connectionMetrics(registry: Registry): Pick<EdgeMetrics, 'connections'> {
  const registers = [registry]
  const active = new Gauge({ name: 'wundr_ws_connections_active', help: 'Open client connections', registers })
  const total = new Counter({
    name: 'wundr_ws_connections_total',
    help: 'Client connections that were opened',
    labelNames: ['auth_method'],
    registers,
  })
  return {
    connections: (change, authMethod = UNKNOWN) => {
      active.inc(change)
      if (change === 1) total.inc({ auth_method: authMethod })
    },
  }
}

function messageMetrics(registry: Registry): Pick<EdgeMetrics, 'received' | 'sent' | 'refused'> {
  const types = (name: string, help: string, known: readonly string[]) =>
    seriesOf(new TallyCounter({ name, help, registry }), 'message_type', known)
  const received = types('wundr_ws_messages_received_total', 'Messages that clients sent', CLIENT_MESSAGES)
  const sent = types('wundr_ws_messages_sent_total', 'Messages sent to clients', SERVER_MESSAGES)
  const errors = seriesOf(
    new TallyCounter({ name: 'wundr_ws_errors_total', help: 'Errors that clients were told', registry }),
    'error_type',
    [...Object.keys(ERRORS), UNKNOWN],
  )
  const sizes = new TallyHistogram({
    name: 'wundr_ws_message_size_bytes',
    help: 'Size of messages as UTF-8',
    bounds: SIZE_BOUNDS,
    registry,
  })
  const [incoming, outgoing] = [sizes.child({ direction: 'in' }), sizes.child({ direction: 'out' })]
  return {
    received: (messageType = UNKNOWN, bytes) => {
      received(messageType).count += 1
      incoming.observe(bytes)
    },
    sent: (frames) => {
      for (const frame of frames) {
        const type = typeOfFrame(frame)
        sent(type).count += 1
        outgoing.observe(Buffer.byteLength(frame))
        if (type === 'error') errors(codeOf(frame)).count += 1
      }
    },
    refused: (reason) => {
      errors(reason).count += 1
    },
  }
}

function requestMetrics(registry: Registry): EdgeMetrics['served'] {
  const registers = [registry]
  const total = new Counter({
    name: 'orchestrator_http_requests_total',
    help: 'Requests over HTTP that were answered',
    labelNames: ['method', 'endpoint', 'status'],
    registers,
  })
  const seconds = new Histogram({
    name: 'orchestrator_http_request_duration_seconds',
    help: 'From a request over HTTP to its answer',
    labelNames: ['endpoint'],
    buckets: DURATION_BOUNDS,
    registers,
  })
  return (method, endpoint, status, took) => {
    total.inc({ method, endpoint, status })
    seconds.observe({ endpoint }, took)
  }
}

/** The series of each known value, which appear with their first count; everything else is `unknown`. */
function seriesOf(counter: TallyCounter, label: string, known: readonly string[]): (value: string) => Tally {
  const names = new Set(known)
  const series = new Map<string, Tally>()
  return (value) => {
    const found = series.get(value)
    if (found) return found
    const name = names.has(value) ? value : UNKNOWN
    const tally = counter.child({ [label]: name })
    // Only names of the list are remembered, so that the map cannot grow with what strangers send.
    if (name === value) series.set(value, tally)
    return tally
  }
}

/** Errors are few: parsing them costs nothing that matters. */
const codeOf = (frame: string): string => String((JSON.parse(frame) as { code?: unknown }).code)

function doorMetrics(
  registry: Registry,
  queue: QueueMetrics,
): Pick<EdgeMetrics, 'submitted' | 'accepted' | 'busy' | 'dropped'> {
  const counter = new TallyCounter({
    name: 'orchestrator_commands_total',
    help: 'Commands by what became of them at the door',
    registry,
  })
  const [accepted, busy] = [counter.child({ outcome: 'accepted' }), counter.child({ outcome: 'busy' })]
  return {
    submitted: () => queue.enqueued(),
    accepted: (seconds) => {
      accepted.count += 1
      queue.dequeued(seconds)
    },
    busy: () => {
      busy.count += 1
    },
    dropped: (reason) => queue.dropped(reason),
  }
}

function watched(registry: Registry, queue: QueueMetrics): EdgeMetrics['watch'] {
  let count = () => 0
  new Gauge({
    name: 'wundr_ws_session_subscriptions',
    help: 'Sessions that clients of this edge watch, counted once for each client',
    registers: [registry],
    collect() {
      this.set(count())
    },
  })
  return ({ subscriptions, waiting }) => {
    count = subscriptions
    queue.watch(waiting)
  }
}
