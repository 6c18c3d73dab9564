/**
 * Background jobs on BullMQ: the leader alone enters schedules and works on them, so that what a former leader left behind
 * is found by its successor and refused by its term.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Job as BullJob, Queue, Worker } from 'bullmq'
import type { RedisClient } from '../../redis/connect.js'
import type { Leadership } from '../../storage/leader.js'
import { ATTEMPTS, attempt, FIRST_RETRY_MS, type Jobs, type JobsOptions, YIELD_TIMEOUT_MS } from '../jobs.js'

const QUEUE = 'jobs'
/** Kept for whoever looks; more would only fill Redis. */
const KEPT_DONE = 20
const KEPT_FAILED = 100

export interface BullJobsOptions extends JobsOptions {
  /** What all keys begin with: a hash tag, because scripts of BullMQ touch several of them. */
  readonly prefix: string
  /** Opens a connection that waits for Redis as long as it takes, as BullMQ needs it. */
  readonly connect: () => Promise<RedisClient>
  readonly disconnect: (client: RedisClient) => void
}

interface Running {
  readonly ending: AbortController
  readonly client: RedisClient
  readonly queue: Queue
  readonly worker: Worker
}

export class BullJobs implements Jobs {
  #running: Running | undefined

  constructor(private readonly options: BullJobsOptions) {}

  async lead(term: Leadership): Promise<void> {
    await this.yield()
    const { prefix, connect, log } = this.options
    const client = await connect()
    const ending = new AbortController()
    const shared = { connection: client as never, prefix }
    const queue = new Queue(QUEUE, shared)
    const worker = new Worker(QUEUE, (job) => this.#process(job, ending.signal), { ...shared, autorun: false })
    // Without a listener an error would end the process; the connection logs its own.
    queue.on('error', () => undefined)
    worker.on('error', () => undefined)
    this.#running = { ending, client, queue, worker }
    await this.#schedule(queue, term)
    worker.run().catch((error: unknown) => log.warn({ err: error }, 'background jobs stopped'))
  }

  async yield(): Promise<void> {
    const running = this.#running
    this.#running = undefined
    if (!running) return
    const { ending, client, queue, worker } = running
    ending.abort()
    // A job that takes longer is found by the next leader, which refuses it by its term.
    const closed = Promise.allSettled([worker.close(), queue.close()])
    const late = sleep(YIELD_TIMEOUT_MS, 'late' as const, { ref: false })
    if ((await Promise.race([closed, late])) === 'late') await worker.disconnect().catch(() => undefined)
    this.options.disconnect(client)
  }

  async #schedule(queue: Queue, { holder, term }: Leadership): Promise<void> {
    const { jobs, firstRetryMs = FIRST_RETRY_MS } = this.options
    const opts = {
      attempts: ATTEMPTS,
      backoff: { type: 'exponential', delay: firstRetryMs },
      removeOnComplete: { count: KEPT_DONE },
      removeOnFail: { count: KEPT_FAILED },
    }
    const names = new Set<string>(jobs.map(({ name }) => name))
    for (const { key } of await queue.getJobSchedulers()) if (!names.has(key)) await queue.removeJobScheduler(key)
    for (const { name, everyMs } of jobs) {
      await queue.upsertJobScheduler(name, { every: everyMs }, { name, data: { holder, term }, opts })
    }
  }

  /** What is returned is kept with the job, for whoever looks. */
  async #process({ name, data }: BullJob<Leadership>, signal: AbortSignal): Promise<'done' | 'refused'> {
    const job = this.options.jobs.find((it) => it.name === name)
    // Of another version, which did not remove its schedule.
    if (!job) return 'refused'
    return (await attempt(job, data, signal, this.options)) ? 'done' : 'refused'
  }
}
