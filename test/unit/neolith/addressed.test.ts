/**
 * Which events of Neolith ask for something.
 */
import { expect, test } from 'vitest'
import { taskOf } from '../../../src/neolith/addressed.js'

const ME = { userId: 'user-1', direct: new Set(['dm-1']) }

const event = (content: string, more: object = {}, authorId = 'alice') => ({
  ...{
    id: 'msg_m1',
    type: 'message_created',
    createdAt: '2026-01-01T00:00:00.000Z',
    channelId: 'chan-1',
    messageId: 'm1',
  },
  payload: { message: { id: 'm1', content, author: { id: authorId, name: 'Alice' } } },
  ...more,
})

test.each([
  ['@user-1 build it', 'build it'],
  ['@user-1: build it', 'build it'],
  ['please, @user-1, build it', 'please,  build it'],
  ['build it @user-1', 'build it'],
])('%j is a task', (content, task) => {
  expect(taskOf(event(content), ME)).toEqual({ channelId: 'chan-1', messageId: 'm1', content: task, author: 'alice' })
})

test.each(['build it', '@user-10 build it', '@user-1x build it', 'user-1 build it', '@user-1', '  @user-1  '])(
  '%j is none',
  (content) => {
    expect(taskOf(event(content), ME)).toBeUndefined()
  },
)

test('a mention that Neolith has seen is a task, and whatever is written directly', () => {
  expect(taskOf(event('build it', { type: 'mention' }), ME)).toMatchObject({ content: 'build it' })
  expect(taskOf(event('build it', { channelId: 'dm-1' }), ME)).toMatchObject({ content: 'build it' })
})

test('what we have written ourselves is never one', () => {
  expect(taskOf(event('@user-1 hello', { channelId: 'dm-1' }, 'user-1'), ME)).toBeUndefined()
})

test.each([
  ['nothing', { payload: {} }],
  ['no text', { payload: { message: { content: 5 } } }],
  ['no channel', { channelId: undefined }],
  ['no message', { messageId: undefined }],
])('an event with %s is none', (_what, more) => {
  expect(taskOf(event('@user-1 build it', more), ME)).toBeUndefined()
})

test('a name that means something to regular expressions is a name', () => {
  expect(taskOf(event('@u.+(x build it'), { ...ME, userId: 'u.+(x' })).toMatchObject({ content: 'build it' })
  expect(taskOf(event('@uaa(x build it'), { ...ME, userId: 'u.+(x' })).toBeUndefined()
})

test('a text without end is cut', () => {
  expect(taskOf(event(`@user-1 ${'x'.repeat(300_000)}`), ME)?.content).toHaveLength(100_000)
})
