/**
 * docs/charter.md shows every class of action, what is done about it by default, and the phrases that mean it.
 */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { ACTION_CLASSES, ACTIONS, classesOf } from '../../../src/charter/actions.js'

test('the table of classes is the one that is enforced', () => {
  const page = readFileSync(new URL('../../../docs/charter.md', import.meta.url), 'utf8')
  const rows = page
    .split('\n')
    .filter((line) => /^\| `[a-z]+[._a-z]*` \|/.test(line) && !line.startsWith('| `resource'))

  expect(rows.filter((row) => !/`(alwaysReject|escalate|autoApprove|requireConfirmation)`/.test(row))).toEqual(
    ACTION_CLASSES.map((name) => {
      const { byDefault, phrases } = ACTIONS[name]
      return `| \`${name}\` | ${byDefault} | ${phrases.join(', ')} |`
    }),
  )
})

test('every phrase of the table means its class', () => {
  for (const name of ACTION_CLASSES) {
    for (const phrase of ACTIONS[name].phrases) expect(classesOf(phrase.toUpperCase()), phrase).toContain(name)
  }
})
