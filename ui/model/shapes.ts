/**
 * Answers of the service by HTTP that are no words of `protocol/`.
 */

export interface ClusterNode {
  readonly id: string
  readonly role: string
  readonly version: string
  readonly status: string
  readonly weight: number
  readonly load: { readonly busy: number; readonly capacity: number; readonly queued: number }
  readonly lagMs: number
  readonly shards: number
  /** Of all shards, 0 to 1. */
  readonly share: number
}

export interface ClusterShard {
  readonly shard: number
  readonly owner: string | null
  readonly epoch: number
  readonly state: 'assigned' | 'releasing' | 'released'
  readonly changedAt: string | null
  readonly load: { readonly running: number; readonly queued: number; readonly perSecond: number } | null
}

export interface ClusterPicture {
  readonly shardCount: number
  readonly leader: string | null
  readonly nodes: readonly ClusterNode[]
  readonly shards: readonly ClusterShard[]
}

export interface PastMove {
  readonly shard: number
  readonly from: string | null
  readonly to: string | null
  readonly epoch: number
  readonly at: string | null
}

export interface Memory {
  readonly id: string
  readonly tier: string
  readonly kind: string
  readonly namespace: string | null
  readonly key: string | null
  readonly content: string
  readonly tags: readonly string[] | null
  readonly metadata: Readonly<Record<string, unknown>> | null
  readonly validFrom: string
  readonly validTo: string | null
  readonly sessionId: string | null
  readonly score?: number
}

export interface Page<T> {
  readonly rows: readonly T[]
  readonly cursor: string | undefined
}
