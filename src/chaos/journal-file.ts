/**
 * Journals as files: a line of JSON each thing. Writing is buffered and synchronous, so that memory is bounded, nothing is
 * reordered, and a process that is killed loses at most a moment; reading streams, so that a journal may be of any length.
 */
import { closeSync, createReadStream, mkdirSync, openSync, writeSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type {
  ClientLine,
  EffectLine,
  FaultLine,
  History,
  JournalLine,
  Lines,
  LogLine,
  ModelLine,
  RunLine,
} from './journal.js'

/** What waits in memory: a write of this size costs some 20 µs. */
const BUFFER_CHARS = 64 * 1024
/** What a killed process may lose at most. */
const FLUSH_MS = 100
const READ_BYTES = 256 * 1024

export class JournalWriter<L extends JournalLine> {
  #file: number | undefined
  #buffer: string[] = []
  #chars = 0
  readonly #timer: NodeJS.Timeout

  /** Creates the file and the directories on the way, or goes on behind what the file holds. */
  constructor(path: string) {
    mkdirSync(join(path, '..'), { recursive: true })
    this.#file = openSync(path, 'a')
    this.#timer = setInterval(() => this.flush(), FLUSH_MS).unref()
  }

  append(line: L): void {
    const text = `${JSON.stringify(line)}\n`
    this.#buffer.push(text)
    this.#chars += text.length
    if (this.#chars >= BUFFER_CHARS) this.flush()
  }

  flush(): void {
    if (this.#file === undefined || this.#chars === 0) return
    const bytes = Buffer.from(this.#buffer.join(''))
    this.#buffer = []
    this.#chars = 0
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at)
  }

  close(): void {
    clearInterval(this.#timer)
    this.flush()
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
  }
}

/**
 * Reads a journal from its beginning, in batches. A last line without an end was torn by the death of its writer and is
 * left out. @throws Error with file and line number when a line is no JSON.
 */
export async function* readJournal<L extends JournalLine>(path: string): AsyncGenerator<readonly L[], void> {
  let rest = ''
  let before = 0
  for await (const chunk of createReadStream(path, { encoding: 'utf8', highWaterMark: READ_BYTES })) {
    const lines = `${rest}${chunk}`.split('\n')
    rest = lines.pop() ?? ''
    if (lines.length > 0) yield lines.map((line, index) => parsed<L>(line, path, before + index + 1))
    before += lines.length
  }
}

function parsed<L>(line: string, path: string, number: number): L {
  try {
    return JSON.parse(line) as L
  } catch (cause) {
    throw new Error(`${path}, line ${number}: expected a line of JSON, found ${line.slice(0, 80)}`, { cause })
  }
}

/** Paths of the journals in a run's directory; clients, models and effects have one for each process that writes. */
export const journalFiles = {
  run: (directory: string) => join(directory, 'run.jsonl'),
  faults: (directory: string) => join(directory, 'fault.jsonl'),
  log: (directory: string) => join(directory, 'log.jsonl'),
  clients: (directory: string, name: string) => join(directory, `client-${name}.jsonl`),
  models: (directory: string, name: string) => join(directory, `model-${name}.jsonl`),
  effects: (directory: string, name: string) => join(directory, `effect-${name}.jsonl`),
} as const

/** The history that a run has left in its directory. @throws Error when the journal of the run itself is missing. */
export async function openHistory(directory: string): Promise<History> {
  const names = (await readdir(directory)).sort()
  const read = <L extends JournalLine>(kind: string): Lines<L>[] =>
    names
      .filter((name) => name.startsWith(kind) && name.endsWith('.jsonl'))
      .map((name) => readJournal<L>(join(directory, name)))
  const [run] = (await all(read<RunLine>('run'))).slice(-1)
  if (!run) throw new Error(`${directory} holds no finished run: run.jsonl is missing or empty`)
  return {
    run,
    faults: await all(read<FaultLine>('fault')),
    log: read<LogLine>('log')[0] ?? [],
    clients: read<ClientLine>('client-'),
    models: read<ModelLine>('model-'),
    effects: read<EffectLine>('effect-'),
  }
}

async function all<L>(journals: readonly Lines<L>[]): Promise<L[]> {
  const found: L[] = []
  for (const lines of journals) for await (const batch of lines) found.push(...batch)
  return found
}
