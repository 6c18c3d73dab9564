/**
 * What stands behind a `MemoryManager`: a database of its own, opened when it is needed first.
 */
import { Memory } from '../memory/memory.js'
import type { Model } from '../models/model.js'
import { OpenAiEmbedder } from '../models/openai-embeddings.js'
import { selectModel } from '../models/select.js'
import { type Database, openDatabase } from '../storage/database.js'
import { MemoryItems } from '../storage/memory-items.js'
import { MemoryRetention } from '../storage/memory-retention.js'
import { MemorySearch } from '../storage/memory-search.js'
import { MemoryVectors } from '../storage/memory-vectors.js'
import { migrate } from '../storage/migrate.js'
import { throughOutage } from '../storage/outage.js'

export interface MemoryStoreOptions {
  /** A PostgreSQL server; memory is then shared with everybody who uses it, the service included. */
  readonly databaseUrl?: string
  /** A directory for the built-in database; without either, everything is kept in memory and ends with `close`. */
  readonly directory?: string
  /** A server that speaks OpenAI's embeddings API, for a search by meaning; needs pgvector on a server. */
  readonly embeddings?: {
    readonly model: string
    readonly dimensions: number
    readonly apiKey?: string
    readonly baseUrl?: string
  }
  /** The model that sums up what happened, before it is forgotten. */
  readonly summaries?: {
    readonly provider: Model['provider']
    readonly model: string
    readonly apiKey?: string
    readonly baseUrl?: string
  }
}

export interface MemoryStore {
  readonly database: Database
  readonly items: MemoryItems
  readonly memory: Memory
  readonly retention: MemoryRetention
  /** Undefined when nothing is summed up. */
  readonly summaries: (() => Promise<Model>) | undefined
  readonly vectors: MemoryVectors | undefined
  /** Why there is no search by meaning, although it was asked for. */
  readonly warning: string | undefined
}

const POOL_SIZE = 5
const CONNECT_TIMEOUT_MS = 5_000
const PATIENCE_MS = 10_000

export async function openMemoryStore({
  databaseUrl,
  directory,
  embeddings,
  summaries,
}: MemoryStoreOptions): Promise<MemoryStore> {
  const database = await openDatabase(
    databaseUrl === undefined
      ? { kind: 'pglite', directory, vectors: embeddings !== undefined }
      : { kind: 'postgres', url: databaseUrl, poolSize: POOL_SIZE, connectTimeoutMs: CONNECT_TIMEOUT_MS },
  )
  await migrate(database)
  const vectors = embeddings && (await MemoryVectors.open(database, embeddings))
  const isOpen = vectors !== undefined && typeof vectors !== 'string'
  const items = new MemoryItems(database)
  const memory = new Memory({
    items,
    search: new MemorySearch(database),
    ...(isOpen && { vectors, embedder: new OpenAiEmbedder(embeddings as NonNullable<typeof embeddings>) }),
    now: () => new Date(),
    patiently: (ask) => throughOutage(ask, { patienceMs: PATIENCE_MS }),
  })
  const warning = typeof vectors === 'string' ? vectors : undefined
  return {
    ...{ database, items, memory, retention: new MemoryRetention(database), warning },
    summaries: summaries && (() => summarising(summaries)),
    vectors: isOpen ? vectors : undefined,
  }
}

const summarising = ({ provider, model, apiKey, baseUrl }: NonNullable<MemoryStoreOptions['summaries']>) =>
  selectModel({
    ...{ openaiModel: model, anthropicModel: model },
    ...(provider === 'openai'
      ? { openaiApiKey: apiKey, openaiBaseUrl: baseUrl }
      : { anthropicApiKey: apiKey, anthropicBaseUrl: baseUrl }),
  })
