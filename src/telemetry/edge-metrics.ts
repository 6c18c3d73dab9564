/**
 * What an edge counts: connections, messages by type and size, errors that clients were told, commands at the door.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { ERRORS } from '../protocol/errors.js'
import { type Channel, type Channels, CONNECTED, type ConnectedChannel } from './channel-metrics.js'
import { CLIENT_MESSAGES, SERVER_MESSAGES, typeOfFrame, UNKNOWN } from './message-types.js'
import type { QueueMetrics, Queues } from './queue-metrics.js'
import { sumOf, type TallyBuckets, TallyCounter, TallyHistogram } from './tally.js'

/** What is counted of those who come by one channel. */
export interface ChannelMeter {
  /** Somebody came by it, or left. */
  opened(change: 1 | -1): void
  /** A message of a client; `messageType` is undefined when it could not be understood. */
  received(messageType: string | undefined, bytes: number): void
  sent(frames: readonly string[]): void
  /** An error that no frame of the first protocol tells. */
  failed(code: string): void
  /** A worker holds a command, so long after it came. */
  answered(seconds: number): void
}

export interface EdgeMetrics {
  /** A client came, by this kind of credential, or left. */
  connections(change: 1 | -1, authMethod?: string): void
  /** The same one for the same name. */
  channel(name: ConnectedChannel): ChannelMeter
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
  watch(now: EdgeNow): void
}

export interface EdgeNow {
  readonly subscriptions: () => number
  /** Commands that no worker has accepted yet. */
  readonly waiting: () => number
  /** Requests over HTTP that have no answer yet. */
  readonly requests: () => number
}

const SIZE_BOUNDS = [64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576]
/** From a look into memory to a command that waits for its worker, in seconds. */
const DURATION_BOUNDS = [0.005, 0.02, 0.1, 0.5, 2, 10]

export function edgeMetrics(registry: Registry, queues: Queues, channels: Channels): EdgeMetrics {
  const commands = queues('commands')
  const rest = channels.of('rest')
  return {
    ...doorMetrics(registry, commands),
    ...connectionMetrics(registry),
    channel: meters(registry, channels),
    served: requestMetrics(registry, rest),
    watch: watched(registry, commands, rest),
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

const WORDS = { received: CLIENT_MESSAGES, sent: SERVER_MESSAGES, errors: [...Object.keys(ERRORS), UNKNOWN] }

function meters(registry: Registry, channels: Channels): EdgeMetrics['channel'] {
  socketSums(registry, channels)
  const sizes = new TallyHistogram({
    name: 'wundr_ws_message_size_bytes',
    help: 'Size of messages as UTF-8',
    bounds: SIZE_BOUNDS,
    registry,
  })
  const [incoming, outgoing] = [sizes.child({ direction: 'in' }), sizes.child({ direction: 'out' })]
  const made = new Map<ConnectedChannel, ChannelMeter>(
    CONNECTED.map((name) => [name, meterOf(channels.of(name, WORDS), incoming, outgoing)]),
  )
  return (name) => made.get(name) as ChannelMeter
}

/** All connections together. */
function socketSums(registry: Registry, { families }: Channels): void {
  const connected = new Set<string | undefined>(CONNECTED)
  const sum = (source: TallyCounter, name: string, help: string, by: string) =>
    sumOf(source, { name, help, registry }, by, ({ channel }) => connected.has(channel))
  sum(families.received, 'wundr_ws_messages_received_total', 'Messages that clients sent', 'message_type')
  sum(families.sent, 'wundr_ws_messages_sent_total', 'Messages sent to clients', 'message_type')
  sum(families.errors, 'wundr_ws_errors_total', 'Errors that clients were told', 'error_type')
}

function meterOf(channel: Channel, incoming: TallyBuckets, outgoing: TallyBuckets): ChannelMeter {
  const { received, sent, failed, latency } = channel
  return {
    opened: channel.opened,
    received: (messageType = UNKNOWN, bytes) => {
      received(messageType).count += 1
      incoming.observe(bytes)
    },
    sent: (frames) => {
      for (const frame of frames) {
        const type = typeOfFrame(frame)
        sent(type).count += 1
        outgoing.observe(Buffer.byteLength(frame))
        if (type === 'error') failed(codeOf(frame)).count += 1
      }
    },
    failed: (code) => {
      failed(code).count += 1
    },
    answered: (seconds) => latency.observe(seconds),
  }
}

/** Failures are told by their status: which of the table's errors it was stands in the answer. */
const FIRST_FAILURE = 400

function requestMetrics(registry: Registry, { received, sent, failed, latency }: Channel): EdgeMetrics['served'] {
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
    received(`${method} ${endpoint}`).count += 1
    sent(String(status)).count += 1
    if (status >= FIRST_FAILURE) failed(`http_${status}`).count += 1
    latency.observe(took)
  }
}

/** Errors are few: parsing them costs nothing that matters. The feed has the code of ours among its details. */
function codeOf(frame: string): string {
  const { code, payload } = JSON.parse(frame) as { code?: unknown; payload?: { details?: { code?: unknown } } }
  return String(code ?? payload?.details?.code)
}

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

function watched(registry: Registry, queue: QueueMetrics, rest: Channel): EdgeMetrics['watch'] {
  let count = () => 0
  new Gauge({
    name: 'wundr_ws_session_subscriptions',
    help: 'Sessions that clients of this edge watch, counted once for each client',
    registers: [registry],
    collect() {
      this.set(count())
    },
  })
  return ({ subscriptions, waiting, requests }) => {
    count = subscriptions
    queue.watch(waiting)
    rest.watch(requests)
  }
}
