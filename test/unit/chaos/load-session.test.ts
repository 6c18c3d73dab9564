/**
 * When the load takes a command as ended.
 */
import { expect, test } from 'vitest'
import { controlCommand, quickCommand } from '../../../src/chaos/load/command.js'
import { LoadSession } from '../../../src/chaos/load/load-session.js'
import type { LoggedEvent } from '../../../src/protocol/events.js'

const SESSION = 'session_001_01M8D8AQC0RSR41MSHQ7M10SZ5'

function fixture() {
  const session = new LoadSession('spawn')
  session.id = SESSION
  const commands = [
    quickCommand('task', SESSION),
    controlCommand('cancel', SESSION, 'cancel'),
    controlCommand('stop', SESSION, 'stop'),
  ]
  for (const command of commands) session.open.set(command.id, { command, accepted: true, again: undefined })
  const status = (requestId: string, status: string) =>
    session
      .endedBy({ type: 'session_status_update', requestId, session: { status } } as unknown as LoggedEvent)
      .map(({ command }) => command.id)
  return { session, status }
}

test('a status ends the control command that it answers, and no other', () => {
  const { session, status } = fixture()

  expect(status('cancel', 'active')).toEqual(['cancel'])
  expect([...session.open.keys()]).toEqual(['task', 'stop'])
})

test('the end of a session ends the control commands that it overtook; tasks have ends of their own', () => {
  const { session, status } = fixture()

  expect(status('stop', 'terminated')).toEqual(['cancel', 'stop'])
  expect([...session.open.keys()]).toEqual(['task'])
  expect(session.over).toBe(true)
})
