/**
 * Redirections: what a command reads from and writes to besides its arguments.
 */
import type { Redirect, Redirection } from 'unbash'
import { expandLoose, expandText } from './expand.js'
import { type Field, headOf, joined, shown, textOf } from './field.js'
import type { ShellHost } from './host.js'
import { touch } from './paths.js'
import type { Scope } from './scope.js'
import { NOTHING, type Stream, textStream, UNKNOWN } from './stream.js'

/** Runs `body` with its standard input, and sees to where its output goes. Returns what is left for a pipe. */
export function redirected(
  shell: ShellHost,
  redirections: readonly Redirection[],
  scope: Scope,
  stdin: Stream,
  body: (stdin: Stream, scope: Scope) => Stream,
): Stream {
  let input = stdin
  const targets: Field[] = []
  for (const redirection of redirections) {
    if (redirection.type === 'HereDoc') input = hereDocument(shell, redirection, scope)
    else if (redirection.type === 'HereString') {
      input = textStream(joined(expandText(redirection.target, scope, shell), ['\n']))
    } else {
      const target = expandText(redirection.target, scope, shell)
      const stream = fileRedirection(shell, redirection, target, scope)
      if (stream === 'output') targets.push(target)
      else if (stream) input = stream
    }
  }
  const output = body(input, scope)
  for (const target of targets) noteWritten(shell, target, output, scope)
  return targets.length > 0 ? NOTHING : output
}

function hereDocument(shell: ShellHost, { body }: Extract<Redirection, { type: 'HereDoc' }>, scope: Scope): Stream {
  return textStream(body.parts ? expandLoose(body.parts, scope, shell) : body.text)
}

function fileRedirection(
  shell: ShellHost,
  { operator, target: word, descriptor }: Redirect,
  target: Field,
  scope: Scope,
): Stream | 'output' | undefined {
  const text = textOf(target)
  if (!word || ((operator === '>&' || operator === '<&') && /^(\d+-?|-)$/.test(text ?? ''))) return undefined
  if (/^\/dev\/(tcp|udp)\//.test(headOf(target))) {
    shell.report('remote.shell', `connects a program with ${shown(target)}`)
    return UNKNOWN
  }
  if (operator === '<' || operator === '<&') {
    touch(shell, 'read', target, scope)
    return contentOf(shell, target, scope) ?? UNKNOWN
  }
  touch(shell, 'write', target, scope)
  if (operator === '<>') return UNKNOWN
  const isError = descriptor?.type === 'FileDescriptor' && descriptor.value > 1
  return isError ? undefined : 'output'
}

/** The content of a file that this line has written; undefined for others. */
export function contentOf(shell: ShellHost, target: Field, scope: Scope): Stream | undefined {
  const places = shell.places.resolve(target, scope.directories)
  for (const { path } of places) {
    const known = path === undefined ? undefined : scope.written.get(path)
    if (known) return known
  }
  return undefined
}

/** Remembers what a file holds now, for when it is run later in the line. */
export function noteWritten(shell: ShellHost, target: Field, content: Stream, scope: Scope): void {
  const places = shell.places.resolve(target, scope.directories)
  for (const { path } of places)
    if (path !== undefined) scope.written.set(path, content.kind === 'none' ? UNKNOWN : content)
}
