/**
 * Assignments, and variables that make some program run a command.
 */
import type { Assignment } from 'unbash'
import { expandText, expandWord } from './expand.js'
import { type Field, joined, shown, textOf } from './field.js'
import type { ShellHost } from './host.js'
import type { Scope } from './scope.js'
import { NOTHING } from './stream.js'

/** Their value is a command, or a file that is run. */
const RUN_AS_COMMAND =
  /^(PAGER|EDITOR|VISUAL|BROWSER|MANPAGER|LESSOPEN|LESSCLOSE|PROMPT_COMMAND|GIT_(SSH|SSH_COMMAND|EDITOR|PAGER|SEQUENCE_EDITOR|EXTERNAL_DIFF|PROXY_COMMAND|ASKPASS)|SSH_ASKPASS|SUDO_ASKPASS|RSYNC_RSH|CVS_RSH|FCEDIT|PS[0-4])$/
/** Change what programs are, before they begin. */
const CHANGE_PROGRAMS =
  /^(LD_(PRELOAD|LIBRARY_PATH|AUDIT)|DYLD_.*|BASH_ENV|ENV|SHELLOPTS|BASHOPTS|BASH_FUNC.*|PERL5OPT|PERL5LIB|PYTHONSTARTUP|PYTHONPATH|RUBYOPT|GCONV_PATH|GIT_CONFIG.*|GIT_EXEC_PATH|IFS)$/

/** Carries out `NAME=value`; `isPrefix` for those before a command. */
export function assignVariables(
  shell: ShellHost,
  assignments: readonly Assignment[],
  scope: Scope,
  isPrefix = false,
): void {
  for (const assignment of assignments) {
    const { name, value, index, append } = assignment
    if (index) {
      expandText(index, scope, shell)
      scope.variables.set(name, 'unknown')
      if (value.type === 'Word') expandText(value, scope, shell)
    } else if (value.type === 'ArrayValue') {
      const fields = value.elements.flatMap((element) => expandWord(element, scope, shell))
      const before = scope.variables.get(name)
      const known = append && before !== 'unknown' ? (before?.fields ?? []) : []
      scope.variables.set(
        name,
        append && before === 'unknown' ? 'unknown' : { fields: [...known, ...fields], isArray: true },
      )
    } else {
      assignText(shell, name, expandText(value, scope, shell), append === true, scope)
    }
    if (isPrefix && name === 'IFS') scope.variables.set('IFS', 'unknown')
  }
}

export function assignText(shell: ShellHost, name: string, field: Field, append: boolean, scope: Scope): void {
  const before = scope.variables.get(name)
  if (append && (before === undefined || before === 'unknown')) scope.variables.set(name, 'unknown')
  else scope.assign(name, append && before && before !== 'unknown' ? joined(before.fields[0] ?? [], field) : field)
  checkVariable(shell, name, field, scope)
}

/** What setting a variable makes other programs do. */
export function checkVariable(shell: ShellHost, name: string, field: Field, scope: Scope): void {
  if (CHANGE_PROGRAMS.test(name) && name !== 'IFS') {
    shell.report('unresolved', `sets ${name}, which changes what later programs do`)
  } else if (RUN_AS_COMMAND.test(name)) {
    const text = textOf(field)
    if (text === undefined) shell.unresolved(`sets ${name} to a command that is only known then: ${shown(field)}`)
    else if (/^PS/.test(name) && !/[$`]/.test(text)) return
    else shell.runText(text, scope.clone(), NOTHING)
  } else if (name === 'PATH') {
    const text = textOf(field)
    if (text !== undefined && !text.includes('/tmp')) return
    if (/[./~]/.test(shown(field)) && !shown(field).includes('/tmp')) return
    shell.unresolved(`sets PATH to ${shown(field)}: programs would be others than they seem`)
  }
}
