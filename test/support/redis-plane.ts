/**
 * The planes of a cluster over a real Redis for one test, and a leader that moves shards as it is told.
 */
import { randomUUID } from 'node:crypto'
import type { Bus } from '../../src/bus/bus.js'
import { createRedisBus } from '../../src/bus/redis-bus.js'
import type { ControlChannel } from '../../src/cluster/cluster.js'
import { RedisControlChannel } from '../../src/cluster/control-channel.js'
import type { PlannedMove } from '../../src/coordinator/balancer.js'
import { Reassignment } from '../../src/coordinator/reassignment.js'
import { type NodeId, newNodeId } from '../../src/protocol/ids.js'
import { connectBlocking, connectCommands, disconnect, type RedisConfig } from '../../src/redis/connect.js'
import type { Database } from '../../src/storage/database.js'
import { LeaderLease, type Leadership } from '../../src/storage/leader.js'
import { ShardAssignments } from '../../src/storage/shard-assignments.js'
import { silentLog } from '../../src/telemetry/log.js'

const LEASE_MS = 600_000

export interface RedisPlane {
  /** Name of the cluster: its keys begin so. */
  readonly cluster: string
  openBus(): Promise<Bus>
  openControl(id: NodeId): ControlChannel
  close(): void
}

/** `cluster` is one that somebody else has opened; a new one when left out. */
export async function openRedisPlane(url: string, cluster = `test-${randomUUID()}`): Promise<RedisPlane> {
  const redisConfig: RedisConfig = { url, clusterNodes: [], password: undefined, db: 0, connectTimeoutMs: 5_000 }
  // What a test does to the server shows in what it waits for.
  const onError = () => undefined
  const redis = await connectCommands(redisConfig, onError)
  const connectReader = () => connectBlocking(redisConfig, onError)
  return {
    cluster,
    openBus: () => createRedisBus({ redis: redisConfig, cluster, lanes: 1, onError }),
    openControl: (id) => new RedisControlChannel({ id, cluster, redis, connectReader, log: silentLog }),
    close: () => disconnect(redis),
  }
}

export class TestLeader {
  private constructor(
    private readonly reassignment: Reassignment,
    private readonly stopReceiving: () => Promise<void>,
  ) {}

  static async start(database: Database, plane: RedisPlane): Promise<TestLeader> {
    const id = newNodeId('leader')
    const won = await new LeaderLease(database).campaign(id, LEASE_MS)
    if (!won) throw new Error('somebody else leads')
    const term: Leadership = { holder: id, term: won.term }
    const control = plane.openControl(id)
    const reassignment = new Reassignment({
      ...{ id, control, log: silentLog, migrationTimeoutMs: LEASE_MS },
      assignments: new ShardAssignments(database),
      clock: () => performance.now(),
      term: () => term,
    })
    const stop = await control.receive((message) => {
      if (message.type === 'released') void reassignment.released(message.shards)
    })
    return new TestLeader(reassignment, stop)
  }

  async move(move: PlannedMove): Promise<void> {
    await this.reassignment.carryOut({ takeovers: [], moves: [move], stranded: [] })
  }

  stop(): Promise<void> {
    return this.stopReceiving()
  }
}
