/**
 * Words from the coordinator to nodes, over one Redis stream per node. A lost word costs a second: its receiver also
 * polls the assignments.
 */
import type { NodeId } from '../protocol/ids.js'
import { BlockingRead, type StreamBatch } from '../redis/blocking-read.js'
import type { RedisClient } from '../redis/connect.js'
import { controlKey } from '../redis/keys.js'
import type { ControlChannel, ControlLog, ControlMessage } from './cluster.js'

/** More than a leader says to a node while the node is slow; older words are outdated by the assignments. */
const KEPT_MESSAGES = 1_000
/** A stream that nobody uses any more disappears. */
const EXPIRY_MS = 60_000
const MESSAGES_PER_READ = 100
const FIELD = 'm'

export interface RedisControlChannelOptions {
  /** This node. */
  readonly id: NodeId
  /** CLUSTER_NAME. */
  readonly cluster: string
  readonly redis: RedisClient
  /** Opens a connection for blocking reads. */
  readonly connectReader: () => Promise<RedisClient>
  readonly log: ControlLog
}

export class RedisControlChannel implements ControlChannel {
  constructor(private readonly options: RedisControlChannelOptions) {}

  async send(to: NodeId, message: ControlMessage): Promise<void> {
    const { redis, cluster } = this.options
    const key = controlKey(cluster, to)
    await Promise.all([
      redis.xadd(key, 'MAXLEN', '~', KEPT_MESSAGES, '*', FIELD, JSON.stringify(message)),
      redis.pexpire(key, EXPIRY_MS),
    ])
  }

  async receive(handler: (message: ControlMessage) => void): Promise<() => Promise<void>> {
    const key = controlKey(this.options.cluster, this.options.id)
    // From the first entry: the stream carries this incarnation's id, so all of it is meant for this process.
    let cursor = '0-0'
    const read = new BlockingRead({
      client: await this.options.connectReader(),
      cursors: () => new Map([[key, cursor]]),
      count: MESSAGES_PER_READ,
      onBatches: async (batches) => {
        cursor = batches[0]?.[1].at(-1)?.[0] ?? cursor
        for (const message of messages(batches, this.options.log)) handler(message)
      },
      // A store that lost the stream numbers new entries by its clock, behind our cursor. A backward clock costs words.
      onLost: () => undefined,
    })
    read.start()
    return () => read.stop()
  }
}

function messages(batches: readonly StreamBatch[], log: ControlLog): ControlMessage[] {
  return batches.flatMap(([, entries]) =>
    entries.flatMap(([, fields]) => {
      const message = parse(fields[1] ?? '')
      if (!message) log.warn({ text: fields[1] }, 'a control message of a kind that this version does not know')
      return message ?? []
    }),
  )
}

/** Undefined for what another version may say and we do not understand. */
function parse(text: string): ControlMessage | undefined {
  try {
    const message: unknown = JSON.parse(text)
    return isControlMessage(message) ? message : undefined
  } catch {
    return undefined // Not JSON: no version of ours wrote it.
  }
}

const SHAPES: Readonly<Record<ControlMessage['type'], (message: Readonly<Record<string, unknown>>) => boolean>> = {
  claim: ({ shards }) => areShards(shards),
  release: ({ shards, leader }) => areShards(shards) && typeof leader === 'string',
  released: ({ shards }) => areShards(shards),
  pinned: ({ sessions }) => areTexts(sessions),
  unpinned: ({ sessions }) => areTexts(sessions),
  replay: (message) => isShardEpoch(message) && typeof message.asker === 'string',
  replayed: (message) =>
    isShardEpoch(message) && typeof message.node === 'string' && typeof message.whole === 'boolean',
  buried: ({ node }) => typeof node === 'string',
  drain: () => true,
  budget: ({ tenant, alert }) => typeof tenant === 'string' && isAlert(alert),
  hibernate: ({ request, asker }) => typeof request === 'string' && typeof asker === 'string',
  hibernated: ({ request, node }) => typeof request === 'string' && typeof node === 'string',
}

function isControlMessage(message: unknown): message is ControlMessage {
  const fields = Object(message) as Readonly<Record<string, unknown>>
  const type = String(fields.type)
  return Object.hasOwn(SHAPES, type) && SHAPES[type as ControlMessage['type']](fields)
}

/** Sessions record it as it is. */
function isAlert(value: unknown): boolean {
  const { alert, scope, id, threshold } = Object(value) as Readonly<Record<string, unknown>>
  return [alert, scope, id].every((it) => typeof it === 'string') && typeof threshold === 'number'
}

const areTexts = (value: unknown): boolean => Array.isArray(value) && value.every((it) => typeof it === 'string')

const areShards = (value: unknown): boolean => Array.isArray(value) && value.every(isShardEpoch)

function isShardEpoch(value: unknown): boolean {
  const { shard, epoch } = Object(value) as { shard?: unknown; epoch?: unknown }
  return Number.isInteger(shard) && Number.isInteger(epoch)
}
