/**
 * The demo notices when something is wrong.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { checkReport } from '../../scripts/demo/report-task.js'
import { numberedWords } from '../../scripts/demo/script.js'
import { SessionRecord, type StoredEvent } from '../../scripts/demo/session-record.js'
import { spread } from '../../scripts/demo/verdict.js'
import type { ServerMessage, SessionTakeover, StreamEnd } from '../../src/protocol/events.js'

const chunk = (offset: number, text: string): ServerMessage => ({
  type: 'stream_chunk',
  data: { sessionId: 's', chunk: text, messageId: 'm', offset, metadata: { tokens: 1 } },
})

const end = (eventId: string, text: string): StreamEnd => ({
  type: 'stream_end',
  eventId,
  sessionId: 's',
  timestamp: '',
  messageId: 'm',
  text,
  toolCalls: [],
  finishReason: 'stop',
  metadata: { totalTokens: 1, duration: 1, promptTokens: 1, completionTokens: 1, cost: 0 },
})

const takeover: SessionTakeover = {
  type: 'session_takeover',
  eventId: '2-2',
  sessionId: 's',
  timestamp: '',
  taskId: 't',
  fromWorker: 'a@1',
  worker: 'b@1',
  attempt: 1,
  afterMs: 3_000,
}

const stored = (seq: number, body: StoredEvent['body']): StoredEvent => ({ seq, body })

function recordOf(...messages: readonly ServerMessage[]): SessionRecord {
  const record = new SessionRecord('s')
  for (const message of messages) record.take(message, 0)
  return record
}

test('a story without a hole is without fault, over a change of owner too', () => {
  const record = recordOf(chunk(0, 'für '), chunk(5, 'zwei'), end('1-1', 'für zwei'), takeover)

  record.compareWithLog([stored(1, end('1-1', 'für zwei')), stored(2, takeover)])

  expect(record.faults).toEqual([])
  expect(record.takeovers).toHaveLength(1)
})

test.each<[string, ServerMessage[]]>([
  ['text that was shown before', [chunk(0, 'one '), chunk(0, 'one ')]],
  ['text with a hole', [chunk(0, 'one '), chunk(5, 'two')]],
  ['an event that was shown before', [end('1-1', ''), end('1-1', '')]],
  ['an event with a gap before it', [end('1-2', '')]],
  ['a message that ends with other text than was streamed', [chunk(0, 'one'), end('1-1', 'ONE')]],
])('%s is a fault', (_what, messages) => {
  expect(recordOf(...messages).faults).toHaveLength(1)
})

test.each<[string, StoredEvent[]]>([
  ['text that differs by a byte', [stored(1, end('1-1', 'onE'))]],
  ['a missing message', [stored(1, takeover)]],
  ['a gap', [stored(2, end('1-2', 'one'))]],
])('%s in the stored log is a fault', (_what, log) => {
  const record = recordOf(chunk(0, 'one'), end('1-1', 'one'))

  record.compareWithLog(log)

  expect(record.faults).toHaveLength(1)
})

test('a report is believed only when its numbers are those of the files', () => {
  const workspace = mkdtempSync(join(tmpdir(), 'demo-checks-'))
  onTestFinished(() => rmSync(workspace, { recursive: true }))
  mkdirSync(join(workspace, 'src'))
  writeFileSync(join(workspace, 'src', 'a.ts'), 'new ServiceError(1)\nnothing\nServiceError, ServiceError\n')
  writeFileSync(join(workspace, 'src', 'b.ts'), '')
  const faultsOf = (text: string): readonly string[] => {
    writeFileSync(join(workspace, 'report.md'), text)
    return checkReport(workspace).faults
  }

  expect(faultsOf('- 2 files in the workspace\n- 2 lines contain "ServiceError"')).toEqual([])
  expect(faultsOf('- 3 files in the workspace\n- 2 lines contain "ServiceError"')).toHaveLength(1)
  expect(faultsOf('All is well.')).toHaveLength(2)
  rmSync(join(workspace, 'report.md'))
  expect(checkReport(workspace).faults).toHaveLength(1)
})

test('the numbered words hold every number once and in order', () => {
  expect(numberedWords(300).match(/\d+/g)?.map(Number)).toEqual(Array.from({ length: 300 }, (_, i) => i + 1))
})

test('a spread names the least, the middle and the greatest', () => {
  expect(spread([5, 1, 3])).toEqual({ min: 1, median: 3, max: 5 })
  expect(spread([])).toBeUndefined()
})
