/**
 * What is counted by channel: the ways by which clients reach this process, and Neolith, which it reaches itself. A channel
 * keeps its series, so that a message costs one addition; what is told of WebSockets is summed up from them when the page is read.
 */
import { Gauge, type Registry } from 'prom-client'
import { UNKNOWN } from './message-types.js'
import { type Tally, type TallyBuckets, TallyCounter, TallyHistogram } from './tally.js'

/** Connections, in the words that are spoken on them; `inside` are those of this process itself. */
export const CONNECTED = ['websocket', 'socket.io', 'v2', 'feed', 'events', 'inside'] as const
export type ConnectedChannel = (typeof CONNECTED)[number]
/** `rest` are requests over HTTP, each for itself. */
export type ChannelName = ConnectedChannel | 'rest' | 'neolith'

export interface Channel {
  /** Somebody came by it, or left. */
  opened(change: 1 | -1): void
  readonly received: (messageType: string) => Tally
  readonly sent: (messageType: string) => Tally
  readonly failed: (errorType: string) => Tally
  /** From a question to its answer. */
  readonly latency: TallyBuckets
  /** Read, when the page is, in place of what was opened. */
  watch(active: () => number): void
}

/** What may stand in a label; everything else is `unknown`. Undefined: whoever counts takes care of it. */
export interface KnownWords {
  readonly received?: readonly string[]
  readonly sent?: readonly string[]
  readonly errors?: readonly string[]
}

export interface Channels {
  /** The same one for the same name. */
  of(name: ChannelName, words?: KnownWords): Channel
  readonly families: Readonly<Record<'received' | 'sent' | 'errors', TallyCounter>>
}

/** From a look into memory to a command that waits for its worker. */
const LATENCY_BOUNDS_S = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5]

export function channelMetrics(registry: Registry): Channels {
  const counter = (name: string, help: string) => new TallyCounter({ name, help, registry })
  const families = {
    received: counter('wundr_channel_messages_received_total', 'Messages that came by a channel; requests, over HTTP'),
    sent: counter('wundr_channel_messages_sent_total', 'Messages that were sent by a channel; answers, over HTTP'),
    errors: counter('wundr_channel_errors_total', 'Clients that were refused or told of an error, and failed requests'),
  }
  const latencies = new TallyHistogram({
    name: 'wundr_channel_message_latency_seconds',
    help: 'rest, neolith: from a request to its answer; others: from a command until a worker holds it',
    bounds: LATENCY_BOUNDS_S,
    registry,
  })
  const active = activeGauge(registry)
  const made = new Map<ChannelName, Channel>()
  const make = (channel: ChannelName, words: KnownWords): Channel => ({
    received: seriesOf(families.received, channel, 'message_type', words.received),
    sent: seriesOf(families.sent, channel, 'message_type', words.sent),
    failed: seriesOf(families.errors, channel, 'error_type', words.errors),
    latency: latencies.child({ channel }),
    ...active(channel),
  })
  return {
    families,
    of: (name, words = {}) => {
      const channel = made.get(name) ?? make(name, words)
      made.set(name, channel)
      return channel
    },
  }
}

function activeGauge(registry: Registry): (channel: ChannelName) => Pick<Channel, 'opened' | 'watch'> {
  const readers = new Map<ChannelName, () => number>()
  new Gauge({
    name: 'wundr_channel_active',
    help: 'Connections that are open, by channel; neolith: 1 while this node speaks to it; rest: requests without an answer',
    labelNames: ['channel_type'],
    registers: [registry],
    collect() {
      for (const [channel_type, read] of readers) this.set({ channel_type }, read())
    },
  })
  return (channel) => {
    let open = 0
    readers.set(channel, () => open)
    return {
      opened: (change) => {
        open += change
      },
      watch: (read) => {
        readers.set(channel, read)
      },
    }
  }
}

/** The series of each known value, which appear with their first count. */
function seriesOf(
  counter: TallyCounter,
  channel: ChannelName,
  label: string,
  known: readonly string[] | undefined,
): (value: string) => Tally {
  const names = known && new Set(known)
  const series = new Map<string, Tally>()
  return (value) => {
    const found = series.get(value)
    if (found) return found
    const name = names === undefined || names.has(value) ? value : UNKNOWN
    const tally = counter.child({ channel, [label]: name })
    // Only names of the list are remembered, so that the map cannot grow with what strangers send.
    if (name === value) series.set(value, tally)
    return tally
  }
}
