/**
 * Journals of a fault run: what is written is read back, line by line, also when their writer was killed; and a client's
 * journal holds what the wire brought, repetitions included.
 */
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { ClientRecorder } from '../../../src/chaos/client-recorder.js'
import { fingerprint } from '../../../src/chaos/fingerprint.js'
import type { ClientLine, JournalLine, Lines, RunLine, Sent } from '../../../src/chaos/journal.js'
import { JournalWriter, journalFiles, openHistory, readJournal } from '../../../src/chaos/journal-file.js'
import type { ServerMessage } from '../../../src/protocol/events.js'

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'journal-'))
  onTestFinished(() => rmSync(path, { recursive: true }))
  return path
}

const sent = (number: number): Sent => ({
  kind: 'sent',
  client: 'c',
  at: number,
  command: `cmd ${number}`,
  type: 'execute',
})

async function linesOf<L>(lines: Lines<L>): Promise<L[]> {
  const all: L[] = []
  for await (const batch of lines) all.push(...batch)
  return all
}

test('a journal longer than all buffers comes back in order', async () => {
  const path = join(directory(), 'deep', 'client-1.jsonl')
  const writer = new JournalWriter<ClientLine>(path)
  const written = Array.from({ length: 20_000 }, (_, index) => sent(index))

  for (const line of written) writer.append(line)
  writer.close()

  expect(await linesOf(readJournal(path))).toEqual(written)
})

test('a writer that goes on appends', async () => {
  const path = join(directory(), 'client-1.jsonl')
  for (const number of [1, 2]) {
    const writer = new JournalWriter<ClientLine>(path)
    writer.append(sent(number))
    writer.close()
  }

  expect(await linesOf(readJournal(path))).toEqual([sent(1), sent(2)])
})

test('the last line of a killed writer is left out, and any other broken line is named', async () => {
  const path = join(directory(), 'client-1.jsonl')
  appendFileSync(path, `${JSON.stringify(sent(1))}\n{"kind":"se`)
  expect(await linesOf(readJournal(path))).toEqual([sent(1)])

  appendFileSync(path, '\n')
  await expect(linesOf(readJournal(path))).rejects.toThrow(`${path}, line 2`)
})

test('a directory holds the history of a run, and none before the run has ended', async () => {
  const path = directory()
  const write = <L extends JournalLine>(file: string, line: L) => {
    const writer = new JournalWriter<L>(file)
    writer.append(line)
    writer.close()
  }
  write(journalFiles.clients(path, 'a'), sent(1))
  write(journalFiles.clients(path, 'b'), sent(2))
  await expect(openHistory(path)).rejects.toThrow('run.jsonl is missing')
  const run: RunLine = { kind: 'run', seed: 1, began: 0, loadEnded: 1, ended: 2 }
  write(journalFiles.run(path), run)

  const history = await openHistory(path)

  expect(history.run).toEqual(run)
  expect(await Promise.all(history.clients.map(linesOf))).toEqual([[sent(1)], [sent(2)]])
  expect(history.faults).toEqual([])
})

test('a fingerprint goes on where it stopped, and shows a single altered character', () => {
  const text = 'Grüße, 世界 🎉 and so on'

  expect(fingerprint(text.slice(7), fingerprint(text.slice(0, 7)))).toBe(fingerprint(text))
  for (let index = 0; index < text.length; index++) {
    expect(fingerprint(`${text.slice(0, index)}~${text.slice(index + 1)}`)).not.toBe(fingerprint(text))
  }
})

const chunk = (offset: number, text: string): ServerMessage => ({
  type: 'stream_chunk',
  data: { sessionId: 's', messageId: 'm', offset, chunk: text, metadata: { tokens: 1 } },
})
const ending = { type: 'task_completed', eventId: '1-2', sessionId: 's', timestamp: '' } as ServerMessage
const subscribed = (reset: boolean): ServerMessage => ({ type: 'subscribed', sessionId: 's', eventId: '1-1', reset })

function recorder() {
  const lines: ClientLine[] = []
  const recorded = new ClientRecorder(
    'c',
    (line) => lines.push(line),
    () => 5,
  )
  const receive = (message: ServerMessage): boolean => recorded.frame(JSON.stringify(message), message)
  return { lines, recorded, receive }
}

test('a client writes down every frame of a session as it came, also a second time', () => {
  const { lines, receive } = recorder()
  const twice = [ending, ending]

  expect(twice.map(receive)).toEqual([true, true])

  const line = { kind: 'event', client: 'c', at: 5, session: 's', event: '1-2', type: 'task_completed' }
  const hash = fingerprint(JSON.stringify(ending))
  expect(lines).toEqual([
    { ...line, hash },
    { ...line, hash },
  ])
})

test('text carries the fingerprint of all that the client has of the message, across connections', () => {
  const { lines, recorded, receive } = recorder()
  receive(chunk(0, 'Grü'))
  recorded.disconnected()
  receive(chunk(4, 'ße'))
  receive(chunk(0, 'Gr'))

  const texts = lines.filter((line) => line.kind === 'text')
  expect(texts.map(({ offset, bytes, hash }) => ({ offset, bytes, hash }))).toEqual([
    { offset: 0, bytes: 4, hash: fingerprint('Grü') },
    { offset: 4, bytes: 3, hash: fingerprint('Grüße') },
    { offset: 0, bytes: 2, hash: fingerprint('Gr') },
  ])
})

test('what comes between a subscribe and its answer belongs to the time before', () => {
  const { lines, recorded, receive } = recorder()
  recorded.subscribing('s')

  expect([ending, chunk(0, 'a'), subscribed(true), ending].map(receive)).toEqual([false, false, true, true])
  expect(lines.map(({ kind }) => kind)).toEqual(['subscribed', 'event'])
})

test('answers name their command; errors of nobody are no refusals', () => {
  const { lines, receive } = recorder()
  const error = { type: 'error', error: 'x', code: 'busy', retryable: true } as const
  receive({ type: 'command_accepted', commandId: 'a', sessionId: 's', duplicate: true })
  receive({ ...error, commandId: 'b' })
  receive(error)

  expect(lines).toEqual([
    { kind: 'accepted', client: 'c', at: 5, command: 'a', session: 's', duplicate: true },
    { kind: 'refused', client: 'c', at: 5, command: 'b', code: 'busy' },
  ])
})
