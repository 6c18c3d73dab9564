/**
 * A worker as the coordinator sees it: it beats, hears words, and releases what it is asked for. It can die at any moment.
 */
import { onTestFinished } from 'vitest'
import { BEAT_EXPIRY_MS } from '../../../src/cluster/beats.js'
import type { ControlMessage } from '../../../src/cluster/cluster.js'
import { newNodeId, nodeName } from '../../../src/protocol/ids.js'
import { nodeKey, nodesKey } from '../../../src/redis/keys.js'
import { Script } from '../../../src/redis/script.js'
import type { Plane } from './plane.js'

const BEAT_MS = 500

interface WorkerOptions {
  readonly version?: string
  /** False keeps what it is asked to release, as a worker whose sessions are all busy. */
  readonly releases?: boolean
}

export class TestWorker {
  readonly id: string
  readonly heard: ControlMessage[] = []
  status: 'live' | 'draining' = 'live'
  releases: boolean
  /** Reply to the last beat. */
  answer = ''
  /** Turns under way on each shard of the cluster; what of it is on its own shards it reports with every beat. */
  load: ReadonlyMap<number, number> = new Map()
  readonly #beat = new Script(new URL('../../../src/cluster/lua/beat.lua', import.meta.url))
  readonly #version: string
  #timer: NodeJS.Timeout | undefined
  #stopHearing = async () => {}

  constructor(
    private readonly plane: Plane,
    name: string,
    options: WorkerOptions = {},
  ) {
    this.id = newNodeId(name)
    this.#version = options.version ?? '2.0.0'
    this.releases = options.releases ?? true
    onTestFinished(() => this.die())
  }

  async start(): Promise<this> {
    const { id, plane } = this
    await plane.nodes.register({ id, name: nodeName(id), role: 'worker', version: this.#version, capacity: 10 })
    await this.beat('enter')
    // A beat that fails is a beat that is missing: what the test is about.
    this.#timer = setInterval(() => void this.beat('stay').catch(() => undefined), BEAT_MS)
    this.#stopHearing = await plane.channel(id).receive((message) => void this.#hear(message))
    return this
  }

  async beat(kind: 'enter' | 'stay'): Promise<void> {
    const { redis, cluster } = this.plane
    const fields = ['role', 'worker', 'version', this.#version, 'weight', 1, 'lag', 0, 'status', this.status]
    const reply = await this.#beat.run(redis, nodeKey(cluster, this.id), kind, BEAT_EXPIRY_MS, ...fields)
    this.answer = String(reply[0])
    if (this.answer === 'ok') await redis.zadd(nodesKey(cluster), Number(reply[1]), this.id)
    if (this.load.size > 0) await this.#report()
  }

  async #report(): Promise<void> {
    const owned = await this.plane.assignments.ownedBy(this.id)
    const idle = { shard: -1, running: 0, queued: 0, perSecond: 0 }
    const hot = owned.map(({ shard }) => ({ ...idle, shard, running: this.load.get(shard) ?? 0 }))
    await this.plane.shardLoads.publish(this.id, { hot, rest: idle })
  }

  /** Falls silent without a word. */
  async die(): Promise<void> {
    clearInterval(this.#timer)
    await this.#stopHearing()
  }

  async leave(): Promise<void> {
    await this.die()
    await this.plane.nodes.setStatus(this.id, 'left')
  }

  async shards(): Promise<number> {
    return (await this.plane.assignments.ownedBy(this.id)).length
  }

  async #hear(message: ControlMessage): Promise<void> {
    this.heard.push(message)
    if (message.type === 'release' && this.releases) await this.plane.assignments.release(message.shards, this.id)
  }
}
