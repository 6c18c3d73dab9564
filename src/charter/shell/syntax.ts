/**
 * Small questions about pieces of a script.
 */
import type { Statement, While } from 'unbash'
import type { Field } from './field.js'
import { NOTHING, type Stream, UNKNOWN } from './stream.js'

export const merged = (field: Field): Field => {
  const [first, second, ...rest] = field
  return typeof first === 'string' && typeof second === 'string' ? [first + second, ...rest] : field
}

/** Output of one of two branches. */
export const either = (left: Stream, right: Stream): Stream =>
  left.kind === 'none' && right.kind === 'none' ? NOTHING : UNKNOWN

/** Commands after which what follows `&&` is certain to run: assignments and the like. */
export function alwaysSucceeds(command: Statement['command']): boolean {
  if (command.type !== 'Command') return command.type === 'Function'
  return (
    command.name === undefined ||
    ['cd', 'mkdir', 'export', 'declare', 'local', 'true', ':', 'set', 'echo', 'alias', 'printf', 'shopt'].includes(
      command.name.value,
    )
  )
}

/** `while :; do x & done` with nothing in it that waits or leaves. */
export function isEndless({ clause, body }: While): boolean {
  const [test, ...others] = clause.commands
  const name = test?.command.type === 'Command' ? test.command.name?.value : undefined
  if (others.length > 0 || (name !== ':' && name !== 'true')) return false
  const called = body.commands.map(({ command }) => (command.type === 'Command' ? command.name?.value : undefined))
  const pauses = called.some((each) => each === undefined || /^(sleep|wait|break|exit|return|read|timeout)$/.test(each))
  return body.commands.some(({ background }) => background) && !pauses
}
