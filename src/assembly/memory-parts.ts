/**
 * Fits memory together: the database's tables, pgvector and an embedding model where both are there, and the jobs.
 */
import type { Config } from '../config/load.js'
import { embedJob, forgetJob } from '../coordinator/jobs/memory.js'
import type { Job } from '../coordinator/jobs.js'
import { FORMER_LIFE_MS, TIER_BYTES } from '../memory/limits.js'
import { Memory } from '../memory/memory.js'
import { PendingVectors } from '../memory/pending-vectors.js'
import type { Embedder } from '../models/embedder.js'
import type { Database } from '../storage/database.js'
import { MemoryItems } from '../storage/memory-items.js'
import { MemoryRetention } from '../storage/memory-retention.js'
import { MemorySearch } from '../storage/memory-search.js'
import { MemoryVectors } from '../storage/memory-vectors.js'
import { throughOutage } from '../storage/outage.js'
import type { Log } from '../telemetry/log.js'
import type { MemoryMetrics } from '../telemetry/metrics.js'

export interface MemoryFoundation {
  readonly config: Pick<Config, 'memory' | 'openai'>
  readonly log: Log
  readonly database: Database
  readonly metrics: MemoryMetrics
}

export interface OpenMemory {
  readonly memory: Memory
  /** What is to be done in the background, by one process of all. */
  readonly jobs: () => readonly Job[]
}

/** An agent waits for a memory as for a tool: shorter than for what may not be lost. */
const PATIENCE_MS = 10_000
/** A vendor that is down is said once in this time. */
const COMPLAIN_EVERY_MS = 60_000

/** Whether memory is searched by meaning is decided here, for as long as this process lives. */
export async function openMemory({ config, log, database, metrics }: MemoryFoundation): Promise<OpenMemory> {
  const items = new MemoryItems(database)
  const retention = new MemoryRetention(database)
  const meaning = await openMeaning(config, database, log)
  const memory = new Memory({
    items,
    search: new MemorySearch(database, (known) => metrics.sizeKnown(known)),
    ...meaning,
    meter: metrics,
    now: () => new Date(),
    patiently: (ask) => throughOutage(ask, { patienceMs: PATIENCE_MS }),
    onEmbeddingFailed: complaining(log),
  })
  const measure = async () => {
    await retention.refreshStatistics()
    await meaning?.vectors.refreshStatistics()
    metrics.measured(await items.totals())
  }
  const parts = { retention, vectors: meaning?.vectors, tierBytes: TIER_BYTES, formerLifeMs: FORMER_LIFE_MS, measure }
  return { memory, jobs: () => [forgetJob(parts), ...embedJobs(meaning)] }
}

interface Meaning {
  readonly vectors: MemoryVectors
  readonly embedder: Embedder
}

function embedJobs(meaning: Meaning | undefined): readonly Job[] {
  if (!meaning) return []
  const pending = new PendingVectors(meaning.vectors, meaning.embedder)
  return [embedJob((signal) => pending.embedSome(signal))]
}

async function openMeaning(
  { memory, openai }: MemoryFoundation['config'],
  database: Database,
  log: Log,
): Promise<Meaning | undefined> {
  const { embeddingModel: model, embeddingDimensions: dimensions, embeddingUrl } = memory
  if (model === undefined) return undefined
  const vectors = await MemoryVectors.open(database, { model, dimensions })
  if (typeof vectors === 'string') {
    log.warn({ reason: vectors }, 'memory is searched by words only, although an embedding model is configured')
    return undefined
  }
  const { OpenAiEmbedder } = await import('../models/openai-embeddings.js')
  const { apiKey, organization: orgId, baseUrl } = openai
  return {
    vectors,
    embedder: new OpenAiEmbedder({ model, dimensions, apiKey, orgId, baseUrl: embeddingUrl ?? baseUrl }),
  }
}

function complaining(log: Log): (error: unknown) => void {
  let saidAt = Number.NEGATIVE_INFINITY
  return (err) => {
    if (performance.now() - saidAt < COMPLAIN_EVERY_MS) return
    saidAt = performance.now()
    log.warn({ err }, 'no vector could be had; memory is searched by words meanwhile')
  }
}
