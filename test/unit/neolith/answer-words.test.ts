/**
 * What a message may mean to a task that waits for a person: a part of a sentence allows nothing.
 */
import { expect, test } from 'vitest'
import { answerIn, wordsAbout } from '../../../src/neolith/answer-words.js'

test.each([
  ['approve', 'approve', ''],
  ['  Approved. ', 'approve', ''],
  ['APPROVE!!', 'approve', ''],
  ['approve the budget', 'unclear', 'the budget'],
  ['approve, never!', 'unclear', 'never!'],
  ['reject', 'reject', ''],
  ['Deny: it is too dear', 'reject', 'it is too dear'],
  ['rejected — no', 'reject', '— no'],
])('"%s" means %s (%s)', (text, decision, reason) => {
  expect(answerIn(text)).toEqual({ decision, reason })
})

test.each(['approves', 'approval', 'I approve', 'rejection', 'denying', 'ok', 'approveé', ''])(
  '"%s" answers nothing',
  (text) => {
    expect(answerIn(text)).toBeUndefined()
  },
)

test('a long reason is cut to what is kept', () => {
  expect(answerIn(`reject ${'x'.repeat(5_000)}`)?.reason).toHaveLength(400)
})

test('what has become of an answer is said in one sentence', () => {
  const answer = { thread: 't', decision: 'reject', reason: '' } as const
  const said = (['done', 'escalated', 'closed', 'nothing', 'several'] as const).map((kind) =>
    wordsAbout(answer, { kind, tool: 'bash_execute' } as never),
  )

  expect(said).toEqual([
    'Not allowed: bash_execute.',
    'bash_execute must be answered by an administrator of the service.',
    'bash_execute is not waiting any more.',
    'Nothing is waiting for an answer here.',
    expect.stringContaining('one by one'),
  ])
})
