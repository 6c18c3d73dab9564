/**
 * What touching a path means: the action follows from what is done and from what kind of place it is.
 */
import type { Action, ActionClass } from '../actions.js'
import { type Place, shownPath, type Zone } from '../places.js'
import type { Field } from './field.js'
import type { ShellHost } from './host.js'
import type { Scope } from './scope.js'

export type Touch =
  | 'read'
  /** With everything below it. */
  | 'read-all'
  | 'write'
  | 'delete'
  | 'delete-all'
  /** Names and dates only. */
  | 'list'

type Row = Readonly<Record<Zone, ActionClass>>

const READ: Row = {
  whole: 'files.read',
  workspace: 'files.read',
  scratch: 'files.read',
  'harmless-device': 'files.read',
  device: 'disk.raw',
  secret: 'secrets.read',
  foreign: 'sessions.foreign',
  system: 'outside.read',
  outside: 'outside.read',
  unknown: 'unresolved',
}
const WRITE: Row = {
  ...READ,
  whole: 'files.write',
  workspace: 'files.write',
  scratch: 'files.write',
  device: 'disk.raw',
  secret: 'security.change',
  system: 'system.write',
  outside: 'outside.write',
}
const DELETE: Row = {
  ...WRITE,
  workspace: 'files.delete',
  whole: 'files.delete',
  scratch: 'files.delete',
  outside: 'outside.delete',
  secret: 'system.write',
}
const LIST: Row = { ...READ, secret: 'outside.read', unknown: 'outside.read', device: 'outside.read' }

const ROWS: Readonly<Record<Touch, Row>> = {
  read: READ,
  'read-all': READ,
  write: WRITE,
  delete: DELETE,
  'delete-all': { ...DELETE, whole: 'files.wipe' },
  list: LIST,
}
const VERBS: Readonly<Record<Touch, string>> = {
  read: 'reads',
  'read-all': 'reads everything in',
  write: 'writes',
  delete: 'deletes',
  'delete-all': 'deletes',
  list: 'lists',
}
const REMARKS: Readonly<Partial<Record<Zone, string>>> = {
  whole: 'the whole workspace',
  device: 'a device',
  secret: 'which holds credentials',
  foreign: 'which belongs to other sessions or to the service',
  system: 'a part of the system',
  outside: 'outside of the workspace',
}

/** Files in the workspace that decide what an agent may do, or that run by themselves. */
const GOVERNING = /\/(\.claude\/(settings[^/]*\.json|hooks(\/|$))|\.mcp\.json$|\.git\/(hooks|config)(\/|$))/

/** Reports what `how` does to every place that `field` may mean. */
export function touch(shell: ShellHost, how: Touch, field: Field, scope: Scope): void {
  for (const place of shell.places.resolve(field, scope.directories)) touchPlace(shell, how, place)
}

function touchPlace(shell: ShellHost, how: Touch, place: Place): void {
  const action = actionOn(shell, how, place)
  if (action) shell.report(action.class, action.what)
}

/** The action, as for `touch`; for callers that have a place and no shell. */
export function actionOn({ places }: Pick<ShellHost, 'places'>, how: Touch, place: Place): Action | undefined {
  const zone = places.zoneOf(place)
  const remark = REMARKS[zone] === undefined ? '' : `, ${REMARKS[zone]}`
  const what = `${VERBS[how]} ${shownPath(place)}${remark}`
  if (zone === 'harmless-device') return undefined
  if (how !== 'read' && how !== 'list' && how !== 'read-all' && GOVERNING.test(place.path ?? '')) {
    return { class: 'governance.change', what: `${what}, which decides what runs by itself` }
  }
  if (how === 'read-all' && places.containsSecrets(place)) {
    return { class: 'secrets.read', what: `${what}, credentials and other sessions included` }
  }
  const isSystemSecret = zone === 'secret' && how === 'write' && /^\/(etc|proc|run|var)\//.test(place.path ?? '')
  return { class: isSystemSecret ? 'system.write' : ROWS[how][zone], what }
}
