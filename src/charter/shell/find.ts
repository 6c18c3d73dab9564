/**
 * find: what it deletes, and what it runs for each file.
 */
import { type Field, headOf, joined, textOf } from './field.js'
import type { Invocation, Program, Programs } from './host.js'
import { operandsOf } from './options.js'
import { touch } from './paths.js'
import { NOTHING } from './stream.js'

const find: Program = (call) => {
  const { shell, args, scope } = call
  const first = args.findIndex((arg) => /^[-(!]/.test(headOf(arg)) && !/^-([HLP]|O\d|D)$/.test(headOf(arg)))
  const given = operandsOf(first < 0 ? args : args.slice(0, first))
  const roots = given.length > 0 ? given : [['.']]
  const tests = first < 0 ? [] : args.slice(first)
  for (const root of roots) touch(shell, 'list', root, scope)
  const isNarrow = tests.some((arg) =>
    /^-i?(name|path|regex|wholename|lname)$|^-(newer|mtime|size|empty)/.test(headOf(arg)),
  )
  const found = roots.map(
    (root): Field => (isNarrow ? joined(root, ['/', { hole: 'below' }]) : joined(root, ['/', { hole: 'below' }])),
  )
  tests.forEach((arg, index) => {
    const test = textOf(arg)
    if (test === '-delete') for (const root of roots) findDelete(call, root, isNarrow)
    else if (/^-(exec|execdir|ok|okdir)$/.test(test ?? ''))
      findExec(call, tests.slice(index + 1), roots, found, isNarrow)
    else if (/^-f(print|print0|printf|ls)$/.test(test ?? '')) touch(shell, 'write', tests[index + 1] ?? [], scope)
  })
  return { kind: 'paths', fields: found }
}

/** Without a filter everything goes, so it counts as the root itself. */
function findDelete({ shell, scope }: Invocation, root: Field, isNarrow: boolean): void {
  touch(shell, isNarrow ? 'delete' : 'delete-all', root, scope)
}

function findExec(
  call: Invocation,
  rest: readonly Field[],
  roots: readonly Field[],
  found: readonly Field[],
  isNarrow: boolean,
): void {
  const end = rest.findIndex((arg) => ['', ';', '+'].includes(textOf(arg) ?? 'x') && textOf(arg) !== '')
  const command = end < 0 ? rest : rest.slice(0, end)
  const replacements = isNarrow ? found : [...found, ...roots]
  for (const path of replacements) {
    const argv = command.map((arg): Field => substitutedIn(arg, '{}', path))
    call.shell.invoke(argv, call.scope.clone(), NOTHING)
  }
}

/** Puts `value` where `mark` stands. */
export function substitutedIn(field: Field, mark: string, value: Field): Field {
  return joined(
    ...field.map((piece): Field => {
      if (typeof piece !== 'string' || !piece.includes(mark)) return [piece]
      return joined(...piece.split(mark).flatMap((part, index): Field[] => (index > 0 ? [value, [part]] : [[part]])))
    }),
  )
}

export const FIND: Programs = { find }
