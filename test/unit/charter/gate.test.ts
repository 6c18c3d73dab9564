/**
 * What the lists of a charter do to tool calls of every kind.
 */
import { expect, test } from 'vitest'
import { CharterGate } from '../../../src/charter/gate.js'
import { type CharterInput, charterSchema } from '../../../src/charter/schema.js'

const WORKSPACE = '/work/spaces/session_a'

const gateOf = (lists: NonNullable<CharterInput['safetyHeuristics']> = {}, more: CharterInput = {}): CharterGate =>
  new CharterGate({
    charter: charterSchema.parse({ safetyHeuristics: lists, ...more }),
    foreign: ['/work/spaces', '/work/data'],
  })

const call = (gate: CharterGate, tool: string, input: Record<string, unknown>) =>
  gate.judge({ tool, input, workspace: WORKSPACE })
const run = (gate: CharterGate, command: string) => call(gate, 'bash_execute', { command })

test.each([
  ['file_read', { path: 'src/a.ts' }, 'allow'],
  ['file_read', { path: `${WORKSPACE}/src/a.ts` }, 'allow'],
  ['file_read', { path: '/src/a.ts' }, 'allow'],
  ['file_read', { path: '../session_b/a.ts' }, 'deny'],
  ['file_read', { path: '/etc/shadow' }, 'deny'],
  ['file_write', { path: 'a.txt', content: 'x' }, 'allow'],
  ['file_write', { path: '/etc/passwd', content: 'x' }, 'deny'],
  ['file_write', { path: 'run.sh', content: '#!/bin/sh\nrm -rf /\n' }, 'deny'],
  ['file_write', { path: 'run.sh', content: '#!/bin/sh\nrm -rf build\n' }, 'allow'],
  ['file_delete', { path: 'build', recursive: true }, 'allow'],
  ['file_delete', { path: '.', recursive: true }, 'ask'],
  ['file_list', { path: '.' }, 'allow'],
  ['Read', { file_path: '/usr/include/stdio.h' }, 'allow'],
  ['Read', { file_path: '/home/agent/.ssh/id_rsa' }, 'deny'],
  ['Write', { file_path: '/usr/local/bin/x', content: '' }, 'deny'],
  ['Edit', { file_path: `${WORKSPACE}/.claude/settings.json`, new_string: '{}' }, 'ask'],
  ['Edit', { file_path: 'src/a.ts', old_string: 'a', new_string: 'b' }, 'allow'],
  ['Bash', { command: 'npm test' }, 'allow'],
  ['Bash', { command: 'rm  -rf /' }, 'deny'],
  ['Grep', { pattern: 'x', path: '/' }, 'deny'],
  ['web_fetch', { url: 'https://example.com' }, 'allow'],
  ['WebFetch', { url: 'http://169.254.169.254/latest' }, 'deny'],
  ['mcp__tickets__create', { title: 'x' }, 'allow'],
])('G-02: %s %j: %s', (tool, input, decision) => {
  expect(call(gateOf(), tool, input).decision).toBe(decision)
})

test('a command counts from the directory that the tool is given', () => {
  expect(call(gateOf(), 'bash_execute', { command: 'rm -rf build', cwd: '../session_b' }).decision).toBe('deny')
  expect(call(gateOf(), 'bash_execute', { command: 'rm -rf ../build', cwd: 'src' }).decision).toBe('allow')
})

test('a refusal is a sentence that says what it was and which entry decided', () => {
  expect(run(gateOf({ alwaysReject: ['Package installation'] }), 'npm install left-pad')).toEqual({
    decision: 'deny',
    reason:
      'The charter forbids this call: it changes dependencies: npm install (alwaysReject: Package installation). Do not try it another way; say what you need instead.',
    rule: 'alwaysReject: Package installation',
  })
})

test('phrases in English mean classes of actions', () => {
  const gate = gateOf({
    requireConfirmation: ['File modifications', 'Database operations'],
    escalate: ['external API integrations'],
  })

  expect(call(gate, 'file_write', { path: 'a', content: '' })).toMatchObject({ decision: 'ask', level: 'confirm' })
  expect(run(gate, 'touch a')).toMatchObject({ decision: 'ask', level: 'confirm' })
  expect(run(gate, 'psql -c "select 1"')).toMatchObject({ decision: 'ask', level: 'confirm' })
  expect(run(gate, 'curl -d a=1 https://example.com')).toMatchObject({ decision: 'ask', level: 'escalate' })
  expect(run(gate, 'cat a')).toEqual({ decision: 'allow' })
})

test('G-03: an action is matched as a whole, never by a part of its name', () => {
  const gate = gateOf({ alwaysReject: ['o', 'file', 'Destructive operations without backup'] })

  expect(call(gate, 'file_write', { path: 'o', content: 'file' })).toEqual({ decision: 'allow' })
  expect(call(gate, 'o', {})).toEqual({ decision: 'allow' })
})

test('commands, paths and tools can be named, with * for anything', () => {
  const gate = gateOf({
    alwaysReject: ['git push *', 'command: npm run *:danger', './secrets', 'tool: mcp__billing__*'],
    requireConfirmation: ['bash_execute: nothing', 'web_fetch'],
  })

  expect(run(gate, 'cd src && git  push origin x')).toMatchObject({
    decision: 'deny',
    rule: 'alwaysReject: git push *',
  })
  expect(run(gate, 'sh -c "git push"').decision).toBe('deny')
  expect(run(gate, 'git pull').decision).toBe('allow')
  expect(run(gate, 'npm run wipe:danger').decision).toBe('deny')
  expect(call(gate, 'file_read', { path: 'secrets/key' }).decision).toBe('deny')
  expect(run(gate, 'cat ./secrets/key').decision).toBe('deny')
  expect(call(gate, 'file_read', { path: 'secrets.md' }).decision).toBe('allow')
  expect(call(gate, 'mcp__billing__pay', {}).decision).toBe('deny')
  expect(call(gate, 'mcp__billings', {}).decision).toBe('allow')
  expect(call(gate, 'web_fetch', { url: 'https://example.com' }).decision).toBe('ask')
})

test('G-01: rm -rf / as an entry means the command, not every line with these letters', () => {
  const gate = gateOf({ alwaysReject: ['rm -rf /'] })

  expect(run(gate, 'rm -r -f /').decision).toBe('deny')
  expect(run(gate, 'rm -rf /tmp/x').decision).toBe('allow')
  expect(run(gate, 'rm -rf ./build').decision).toBe('allow')
})

test('autoApprove spares a question, and never opens what is forbidden or cannot be made out', () => {
  const gate = gateOf({
    autoApprove: ['Kill processes', 'pkill *', 'Expose secrets', 'Privileged commands', 'unresolved'],
  })

  expect(run(gateOf(), 'pkill -f vite').decision).toBe('ask')
  expect(run(gate, 'pkill -f vite').decision).toBe('allow')
  expect(run(gate, 'cat /etc/shadow').decision).toBe('deny')
  expect(run(gate, 'sudo ls').decision).toBe('ask')
  expect(run(gate, '$X').decision).toBe('ask')
})

test('the stricter list counts when an action stands in two', () => {
  const gate = gateOf({ requireConfirmation: ['Git push'], autoApprove: ['Git operations'], escalate: ['git.push'] })

  expect(run(gate, 'git push origin x')).toMatchObject({ decision: 'ask', level: 'escalate' })
})

test('hard constraints forbid like alwaysReject', () => {
  expect(run(gateOf({}, { hardConstraints: ['Git push'] }), 'git push origin x')).toMatchObject({
    decision: 'deny',
    rule: 'hardConstraints: Git push',
  })
})

test('a charter that is adopted later counts from then on', () => {
  const gate = gateOf()
  expect(run(gate, 'npm install').decision).toBe('allow')

  gate.adopt(charterSchema.parse({ safetyHeuristics: { alwaysReject: ['Package installation'] } }))

  expect(run(gate, 'npm install').decision).toBe('deny')
})
