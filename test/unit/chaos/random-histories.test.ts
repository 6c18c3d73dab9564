/**
 * The history checker on random histories: it finds nothing in correct ones, and in spoiled ones it names the guarantee
 * that was broken.
 */
import { describe, expect, test } from 'vitest'
import { checkHistory, type Verdict } from '../../../src/chaos/checker/checker.js'
import { MUTATIONS } from '../../support/chaos/mutations.js'
import { RandomStory } from '../../support/chaos/random-story.js'
import { historyOf, type StoryLines } from '../../support/chaos/story.js'
import { seededRandom } from '../../support/random.js'

const CORRECT_HISTORIES = 40
/** Histories that each mutation is tried on. */
const SPOILED_HISTORIES = 12

const brokenIn = ({ guarantees }: Verdict): string[] =>
  guarantees.filter(({ violated }) => violated > 0).map(({ guarantee }) => guarantee)

const wordsOf = ({ guarantees }: Verdict): string =>
  guarantees
    .flatMap(({ guarantee, examples }) => examples.map(({ what, excerpt }) => [guarantee, what, ...excerpt].join('\n')))
    .join('\n\n')

test.each([true, false])('a correct history keeps every guarantee (with lost writes: %s)', async (losesWrites) => {
  const random = seededRandom(`correct histories, lost writes ${losesWrites}`)
  const checked = new Map<string, number>()

  for (let round = 0; round < CORRECT_HISTORIES; round++) {
    const { story } = new RandomStory(random, { sessions: 3, steps: random.integer(20, 300), losesWrites })
    const verdict = await checkHistory(story.history())
    expect(wordsOf(verdict), `history ${round}`).toBe('')
    for (const each of verdict.guarantees)
      checked.set(each.guarantee, (checked.get(each.guarantee) ?? 0) + each.checked)
  }

  // Whoever checks nothing finds nothing.
  const untried = [...checked].filter(([, count]) => count === 0).map(([guarantee]) => guarantee)
  expect(untried).toEqual(losesWrites ? [] : ['G5'])
})

describe('the guarantee is named when', () => {
  test.each(MUTATIONS)('$name', async ({ name, expected, losesWrites, apply }) => {
    const random = seededRandom(name)
    let spoiled = 0
    for (let round = 0; spoiled < SPOILED_HISTORIES; round++) {
      expect(round, 'the histories offer nothing to spoil').toBeLessThan(20 * SPOILED_HISTORIES)
      const { story } = new RandomStory(random, { sessions: 3, steps: 150, losesWrites })
      const lines: StoryLines = story.lines()
      if (!apply(lines, random)) continue
      spoiled += 1

      const verdict = await checkHistory(historyOf(lines))

      expect(verdict.ok).toBe(false)
      expect(brokenIn(verdict), `history ${round}: ${wordsOf(verdict)}`).toContain(expected)
    }
  })
})
