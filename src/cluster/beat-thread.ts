/**
 * Program of the thread that beats for this process, so that a busy main loop does not look dead: it has a connection of
 * its own, and tells with every beat how long the main loop has been stuck.
 */
import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { connectCommands, disconnect, type RedisClient } from '../redis/connect.js'
import { nodeKey, nodesKey } from '../redis/keys.js'
import { Script } from '../redis/script.js'
import type { BeatSetup, FromBeatThread, ToBeatThread } from './beat-message.js'
import { BEAT_EXPIRY_MS } from './beats.js'
import { Pulse } from './pulse.js'

const BEAT_MS = 1_000
/** After a failure: soon enough for several attempts before the effect window ends. */
const RETRY_MS = 200

class BeatThread {
  readonly #script = new Script(new URL('./lua/beat.lua', import.meta.url))
  readonly #pulse: Pulse
  readonly #key: string
  #phase: 'waiting' | 'entering' | 'beating' | 'leaving' | 'dead' = 'waiting'
  #failing = false
  /** Who suspends commands without our beats. Opened here, so that nobody else's file can take its number. */
  #relay: number | undefined
  #woken = false
  #wake = () => {}

  constructor(
    private readonly setup: BeatSetup,
    private readonly port: MessagePort,
  ) {
    this.#pulse = new Pulse(setup.memory)
    this.#key = nodeKey(setup.cluster, setup.id)
  }

  /** Beats until told to leave, or dead. Rejects when the first connection fails, which ends the thread. */
  async run(): Promise<void> {
    // What a lost connection means is seen by the beat that fails.
    const client = await connectCommands(this.setup.redis, () => undefined)
    this.port.on('message', (message: ToBeatThread) => this.#onMessage(message))
    this.#tell({ type: 'connected' })
    while (this.#phase === 'waiting') await this.#pause()
    while (this.#phase === 'entering' || this.#phase === 'beating') await this.#round(client)
    if (this.#phase === 'leaving') await this.#leave(client)
    this.#endRelay()
    disconnect(client)
    this.port.close()
  }

  #onMessage(message: ToBeatThread): void {
    if (this.#phase === 'dead') return
    if (message.type === 'relay') {
      this.#relayTo(message.pipe)
      return
    }
    this.#phase = message.type === 'leave' ? 'leaving' : 'entering'
    this.#woken = true
    this.#wake()
  }

  async #round(client: RedisClient): Promise<void> {
    const startedAt = performance.now()
    const periodMs = (await this.#beat(client)) ? BEAT_MS : RETRY_MS
    if (this.#phase !== 'dead') await this.#pause(Math.max(0, periodMs - (performance.now() - startedAt)))
  }

  /** Waits for a message, or for the given time; a message that came already ends it at once. */
  async #pause(ms?: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      if (this.#woken) resolve()
      else if (ms !== undefined) timer = setTimeout(resolve, ms)
    })
    clearTimeout(timer)
    this.#woken = false
  }

  /** False when no answer came. */
  async #beat(client: RedisClient): Promise<boolean> {
    const sentAt = this.#pulse.sentNow()
    try {
      const reply = await this.#script.run(client, this.#key, ...this.#arguments())
      this.#report(undefined)
      if (reply[0] === 'ok') this.#acknowledged(client, sentAt, String(reply[1]))
      else this.#refused(reply[0] === 'dead' ? 'dead' : 'absent')
      return true
    } catch (error) {
      this.#report(String(error))
      return false
    }
  }

  #acknowledged(client: RedisClient, sentAt: bigint, at: string): void {
    this.#pulse.acknowledge(sentAt)
    this.#relayBeat()
    // When it fails, the next beat repeats it.
    client.zadd(nodesKey(this.setup.cluster), at, this.setup.id).catch(() => undefined)
    if (this.#phase !== 'entering') return
    this.#phase = 'beating'
    this.#tell({ type: 'entered' })
  }

  #relayTo(pipe: string): void {
    this.#endRelay()
    try {
      this.#relay = openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK)
      this.#relayBeat()
    } catch {
      // Nobody reads it any more: commands are suspended without beats, and end when their supervisor has ended.
    }
  }

  #relayBeat(): void {
    const leftMs = this.#pulse.commandsLeftMs()
    if (this.#relay === undefined || leftMs <= 0) return
    try {
      writeSync(this.#relay, `b${leftMs}\n`)
    } catch (error) {
      // A full pipe is read on later, or its reader has ended for good; commands are suspended meanwhile.
      if (error instanceof Error && 'code' in error && error.code === 'EPIPE') this.#endRelay()
    }
  }

  #endRelay(): void {
    if (this.#relay !== undefined) closeSync(this.#relay)
    this.#relay = undefined
  }

  #refused(word: 'dead' | 'absent'): void {
    this.#pulse.lapse()
    if (word === 'dead') this.#phase = 'dead'
    this.#tell({ type: word })
  }

  #arguments(): (string | number)[] {
    const { role, version, weight } = this.setup
    const { busy, capacity, queued } = this.#pulse.load
    return [
      ...[this.#phase === 'entering' ? 'enter' : 'stay', BEAT_EXPIRY_MS],
      ...['role', role, 'version', version, 'weight', weight],
      ...['busy', busy, 'capacity', capacity, 'queued', queued],
      ...['lag', this.#pulse.lagMs(), 'status', this.#pulse.draining ? 'draining' : 'live'],
    ]
  }

  async #leave(client: RedisClient): Promise<void> {
    this.#pulse.lapse()
    // When it fails the key expires by itself.
    await Promise.allSettled([client.del(this.#key), client.zrem(nodesKey(this.setup.cluster), this.setup.id)])
  }

  /** Tells the first failure of a row, and its end. */
  #report(failure: string | undefined): void {
    if (failure !== undefined && !this.#failing) this.#tell({ type: 'trouble', reason: failure })
    if (failure === undefined && this.#failing) this.#tell({ type: 'recovered' })
    this.#failing = failure !== undefined
  }

  #tell(message: FromBeatThread): void {
    this.port.postMessage(message)
  }
}

// This file is the thread's whole program: nobody imports it, so it may run at once.
if (parentPort) await new BeatThread(workerData as BeatSetup, parentPort).run()
