/**
 * Whether memory finds what was said: 1,000 facts in 500 conversations, asked for in the same words and in others. Full text
 * on PostgreSQL and on the built-in database, words and vectors together on the latter, with vectors that know nothing but
 * words and with some that know other names of things, and the newest items as a baseline.
 */
import { startPostgres } from '../../scripts/servers/servers.js'
import { Memory, type MemoryParts, TEXT_WEIGHT, VECTOR_WEIGHT } from '../../src/memory/memory.js'
import { PendingVectors } from '../../src/memory/pending-vectors.js'
import { OpenAiEmbedder } from '../../src/models/openai-embeddings.js'
import { type Database, openDatabase } from '../../src/storage/database.js'
import { MemoryItems } from '../../src/storage/memory-items.js'
import { MemoryRetention } from '../../src/storage/memory-retention.js'
import { MemorySearch } from '../../src/storage/memory-search.js'
import { MemoryVectors } from '../../src/storage/memory-vectors.js'
import { migrate } from '../../src/storage/migrate.js'
import { type Dataset, type DatasetQuestion, makeDataset } from '../recall/dataset.js'
import { HASHING_DIMENSIONS, HASHING_MODEL, startEmbeddingServer, THESAURUS_MODEL } from '../recall/embedding-server.js'
import { contentWords } from '../recall/shared-words.js'
import { THINGS } from '../recall/words.js'
import type { Outcome, Stage } from './scenario.js'

const SEEDS = 3
const MAX_SEED = 1_000_000
const TOP = 10
/** What is aimed at where words are shared. */
const AIM = 0.9
const BATCH = 500
const START = new Date('2025-01-01T00:00:00Z')

interface Leg {
  readonly name: string
  find(question: DatasetQuestion): Promise<readonly string[]>
}

interface Score {
  readonly seed: number
  readonly leg: string
  readonly shared: number
  readonly updated: number
  readonly other: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export async function recall({ options, teardown, say }: Stage): Promise<Outcome> {
  const first = options.seed ?? Math.floor(Math.random() * MAX_SEED)
  const seeds = Array.from({ length: SEEDS }, (_, n) => first + n)
  const embeddings = await startEmbeddingServer(THINGS)
  teardown.add('the embedding server', () => embeddings.close())
  const postgres = await teardown.open('PostgreSQL', startPostgres({ own: true }))
  const server = await open({ kind: 'postgres', url: postgres.url, poolSize: 2, connectTimeoutMs: 5_000 })
  teardown.add('the connections to PostgreSQL', () => server.close())
  const builtIn = await open({ kind: 'pglite', directory: undefined, vectors: true })
  teardown.add('the built-in database', () => builtIn.close())
  const hashing = await openMeaning(builtIn, HASHING_MODEL, embeddings.url)
  const knowing = await openMeaning(builtIn, THESAURUS_MODEL, embeddings.url)
  const scores: Score[] = []
  for (const seed of seeds) {
    const data = makeDataset(seed, START)
    await checkWords(builtIn, data)
    say(`seed ${seed}: ${data.turns.length} turns, ${data.questions.length} questions`)
    const holder = { tenant: 'load', owner: `seed-${seed}` }
    const onServer = new Memory(partsOf(server))
    const hybrid = new Memory({ ...partsOf(builtIn), ...hashing })
    for (const memory of [onServer, hybrid]) await remember(memory, holder, data)
    await embedAll([hashing, knowing])
    await new MemoryRetention(builtIn).refreshStatistics()
    const search = (name: string, memory: Memory): Leg => ({
      name,
      find: async ({ text }) =>
        (await memory.search(holder, { query: text, limit: TOP })).map(({ metadata }) => String(metadata.turn)),
    })
    const newest = new MemoryItems(server)
    const legs = [
      search('full text, PostgreSQL', onServer),
      search('full text, built-in', new Memory(partsOf(builtIn))),
      search('hybrid, built-in', hybrid),
      search('hybrid with a thesaurus', new Memory({ ...partsOf(builtIn), ...knowing })),
      {
        name: 'newest (baseline)',
        find: async () => (await newest.newest(holder, 'episodic', TOP)).map(({ metadata }) => String(metadata.turn)),
      },
    ]
    for (const leg of legs) scores.push(await judge(seed, leg, data.questions))
  }
  return outcome(seeds, scores)
}

async function open(config: Parameters<typeof openDatabase>[0]): Promise<Database> {
  const database = await openDatabase(config)
  await migrate(database)
  return database
}

interface Meaning {
  readonly vectors: MemoryVectors
  readonly embedder: OpenAiEmbedder
  readonly onEmbeddingFailed: (error: unknown) => never
}

async function openMeaning(database: Database, model: string, baseUrl: string): Promise<Meaning> {
  const space = { model, dimensions: HASHING_DIMENSIONS }
  const vectors = await MemoryVectors.open(database, space)
  if (typeof vectors === 'string') throw new Error(vectors)
  return { vectors, embedder: new OpenAiEmbedder({ ...space, baseUrl }), onEmbeddingFailed: fail }
}

/** What was remembered with vectors of one model gets those of the others. */
async function embedAll(meanings: readonly Meaning[]): Promise<void> {
  for (const { vectors, embedder } of meanings) {
    const pending = new PendingVectors(vectors, embedder)
    while ((await pending.embedSome(new AbortController().signal)) > 0);
    await vectors.refreshStatistics()
  }
}

const partsOf = (database: Database): MemoryParts => ({
  items: new MemoryItems(database),
  search: new MemorySearch(database),
  now: () => new Date(),
  patiently: (ask) => ask(),
})

const fail = (error: unknown): never => {
  throw error
}

async function remember(memory: Memory, holder: { tenant: string; owner: string }, { turns }: Dataset): Promise<void> {
  for (let from = 0; from < turns.length; from += BATCH) {
    await memory.storeAll(
      holder,
      turns.slice(from, from + BATCH).map(({ id, text, at }) => ({
        ...{ content: text, tier: 'episodic', kind: 'interaction', identity: id, validFrom: at },
        metadata: { turn: id },
      })),
    )
  }
}

async function judge(seed: number, leg: Leg, questions: readonly DatasetQuestion[]): Promise<Score> {
  const times: number[] = []
  const found = new Set<DatasetQuestion>()
  for (const question of questions) {
    const startedAt = performance.now()
    const ids = await leg.find(question)
    times.push(performance.now() - startedAt)
    if (ids.includes(question.evidence)) found.add(question)
  }
  const share = (of: (question: DatasetQuestion) => boolean): number => {
    const asked = questions.filter(of)
    return asked.filter((question) => found.has(question)).length / asked.length
  }
  times.sort((a, b) => a - b)
  const at = (quantile: number): number => times[Math.floor(quantile * (times.length - 1))] ?? 0
  return {
    ...{ seed, leg: leg.name, p50Ms: at(0.5), p99Ms: at(0.99) },
    shared: share(({ shares }) => shares),
    updated: share(({ shares, updated }) => shares && updated),
    other: share(({ shares }) => !shares),
  }
}

/** What the set promises of its questions is checked with the stemmer of the database, not believed. */
async function checkWords(database: Database, { turns, questions }: Dataset): Promise<void> {
  const textOf = new Map(turns.map(({ id, text }) => [id, text]))
  for (const { text, evidence, shares } of questions) {
    const [asked, said] = await Promise.all([
      contentWords(database, text),
      contentWords(database, textOf.get(evidence) ?? ''),
    ])
    const common = asked.filter((word) => said.includes(word))
    if (common.length > 0 !== shares)
      throw new Error(`"${text}" and its evidence share: ${common.join(', ') || 'nothing'}`)
  }
}

function outcome(seeds: readonly number[], scores: readonly Score[]): Outcome {
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`
  const of = (leg: string, seed: number): Score | undefined =>
    scores.find((score) => score.leg === leg && score.seed === seed)
  const faults = scores.flatMap(({ seed, leg, shared, other }) => {
    if (leg.startsWith('full text') && shared < AIM)
      return [`seed ${seed}, ${leg}: ${percent(shared)} is below ${percent(AIM)}`]
    const words = of('full text, built-in', seed)
    const isWorse = shared < (words?.shared ?? 0) || other < (words?.other ?? 0)
    return leg.startsWith('hybrid') && isWorse ? [`seed ${seed}: ${leg} is worse than full text`] : []
  })
  return {
    summary: `Evidence recall@${TOP}: 1,000 facts in 500 conversations, a fifth of them changed later; 1,000 questions a seed, half of them sharing no content word with their evidence. Seeds ${seeds.join(', ')}.`,
    versions: {},
    tables: [
      {
        head: ['seed', 'search', 'words shared', 'of these changed facts', 'no word shared', 'p50', 'p99'],
        rows: scores.map(({ seed, leg, shared, updated, other, p50Ms, p99Ms }) => [
          ...[String(seed), leg, percent(shared), percent(updated), percent(other)],
          ...[`${p50Ms.toFixed(1)} ms`, `${p99Ms.toFixed(1)} ms`],
        ]),
      },
    ],
    notes: [
      'The evidence of a changed fact is its last statement. Sets are made from the seed after the manner of LongMemEval; they are not LongMemEval.',
      `The vectors of the hybrid search come from a local server that hashes words and their pieces (${HASHING_DIMENSIONS} numbers, OpenAI's API): it knows no meanings, so it says little about questions in other words. With a thesaurus it knows the other name of each thing, and no other word for what is said of it. Weights ${TEXT_WEIGHT} words, ${VECTOR_WEIGHT} vectors, each by what words cover of the question.`,
    ],
    figures: scores,
    faults,
  }
}
