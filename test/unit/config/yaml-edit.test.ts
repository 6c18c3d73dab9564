/**
 * One value of a YAML file is changed, and the rest stays as somebody has written it.
 */
import { expect, test } from 'vitest'
import { withValue } from '../../../src/config/yaml-edit.js'

const FILE = `# mine
daemon:
  port: 9090 # the usual
  name: blue
`

test.each([
  ['a value that is there', ['daemon', 'port'], '9191', FILE.replace('9090', '9191')],
  ['a value beside it', ['daemon', 'verbose'], 'true', `${FILE}  verbose: true\n`],
  ['a section', ['openai', 'model'], 'gpt-5', `${FILE}openai:\n  model: gpt-5\n`],
  ['a text that looks like a list', ['daemon', 'name'], '[a]', FILE.replace('blue', '"[a]"')],
  ['nothing, which takes it out', ['daemon', 'name'], '', FILE.replace('  name: blue\n', '')],
])('%s', (_what, path, value, expected) => {
  expect(withValue(FILE, path, value)).toBe(expected)
})

test('a file that is empty, or holds only words about it, gets its first value', () => {
  expect(withValue('', ['port'], '1')).toBe('port: 1\n')
  expect(withValue('# nothing yet\n', ['port'], '1')).toContain('# nothing yet')
  expect(withValue('# nothing yet\n', ['port'], '1')).toContain('port: 1')
})

test.each(['- a\n', 'a: [\n', 'word\n'])('%j is not changed, because it holds no names and values', (text) => {
  expect(() => withValue(text, ['port'], '1')).toThrow('not YAML of names and values')
})
