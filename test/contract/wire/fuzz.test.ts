/**
 * Hostile inputs at the codec and at every door of an edge, as `npm run test:fuzz` throws a million of; FUZZ_INPUTS says how
 * many here.
 */
import { expect, test } from 'vitest'
import { faultIn } from '../../fuzz/codec.js'
import { fuzz } from '../../fuzz/fuzz-run.js'
import { faultOf } from '../../fuzz/refusals.js'

const INPUTS = Number(process.env.FUZZ_INPUTS ?? 25_000)
const MAX_SEED = 2 ** 31

test('nothing that comes over the wire brings an edge down, stays in its memory, or is refused beside the table', async () => {
  const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * MAX_SEED))
  console.info(`hostile inputs: TEST_SEED=${seed}`)

  const { findings, targets } = await fuzz({ inputs: INPUTS, seed })

  expect(findings).toEqual([])
  expect(targets.map(({ target }) => target)).toEqual(['codec', 'WebSocket', 'WebSocket frames', 'Socket.IO', 'HTTP'])
  expect(targets.reduce((sum, { inputs }) => sum + inputs, 0)).toBeGreaterThanOrEqual(INPUTS)
}, 180_000)

test('what is judged here can fail', () => {
  const refusal = { error: 'Unknown message type', code: 'unknown_type', retryable: false }

  expect(faultOf(refusal)).toBeUndefined()
  expect(faultOf({ ...refusal, code: 'made_up' })).toContain('made_up')
  expect(faultOf({ ...refusal, code: 'internal', retryable: true })).toContain('a bug of ours')
  expect(faultOf({ ...refusal, retryable: true })).toContain('retryable')
  expect(faultOf({ ...refusal, error: 'x'.repeat(3_000) })).toContain('3000 characters')
  expect(faultIn('{"type":"ping"}')).toBeUndefined()
})
