/**
 * Beats of all nodes as Redis holds them: what nodes wrote about themselves, and deaths that the leader copied there.
 */
import type { NodeId } from '../protocol/ids.js'
import type { RedisClient } from '../redis/connect.js'
import { nodeKey, nodesKey } from '../redis/keys.js'
import { Script } from '../redis/script.js'
import type { LiveNode, Role } from './cluster.js'

/** A node's beat disappears after this silence; until then operators can see what it last said. */
export const BEAT_EXPIRY_MS = 60_000

const ROLES: ReadonlySet<string> = new Set<Role>(['edge', 'worker', 'coordinator', 'all'])

export class Beats {
  readonly #declareDead = new Script(new URL('./lua/declare-dead.lua', import.meta.url))

  /** `redis` gathers commands that are given together into one pipeline. */
  constructor(
    private readonly redis: RedisClient,
    private readonly cluster: string,
  ) {}

  /** The last beat of every node, dead and silent ones too. */
  async read(): Promise<readonly LiveNode[]> {
    const ids = await this.redis.zrange(nodesKey(this.cluster), 0, '-1')
    const hashes = await Promise.all(ids.map((id) => this.redis.hgetall(nodeKey(this.cluster, id))))
    const forgotten = ids.filter((_id, index) => Object.keys(hashes[index] ?? {}).length === 0)
    // A node that beats after all enters its name again with the next beat, and a failure is made good by the next read.
    if (forgotten.length > 0) this.redis.zrem(nodesKey(this.cluster), ...forgotten).catch(() => undefined)
    return ids.flatMap((id, index) => parseBeat(id, hashes[index] ?? {}) ?? [])
  }

  /** When a node last beat, by Redis time in ms; undefined when that is more than a minute ago. */
  async lastOf(id: NodeId): Promise<number | undefined> {
    const at = await this.redis.hget(nodeKey(this.cluster, id), 'at')
    return at === null ? undefined : Number(at)
  }

  /** Makes the node's next beat answer that it is dead. */
  async declareDead(id: NodeId): Promise<void> {
    await this.#declareDead.run(this.redis, nodeKey(this.cluster, id), BEAT_EXPIRY_MS)
  }
}

/** Undefined for a hash without a beat: a death that was declared after the node's last beat had expired. */
function parseBeat(id: NodeId, hash: Readonly<Record<string, string>>): LiveNode | undefined {
  const { role, at, version, status } = hash
  if (at === undefined || role === undefined || !isRole(role)) return undefined
  return {
    id,
    role,
    version: version ?? '',
    weight: Number(hash.weight ?? 1),
    load: { busy: Number(hash.busy ?? 0), capacity: Number(hash.capacity ?? 0), queued: Number(hash.queued ?? 0) },
    beatAt: Number(at),
    status: status === 'dead' || status === 'draining' ? status : 'live',
    lagMs: Number(hash.lag ?? 0),
  }
}

const isRole = (text: string): text is Role => ROLES.has(text)
