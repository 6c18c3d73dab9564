/**
 * Redirections: what a command reads from and writes to besides its arguments.
 */
import type { Redirect, Redirection } from 'unbash'
import { expandLoose, expandText } from './expand.js'
import { type Field, headOf, joined, shown, textOf } from './field.js'
import type { ShellHost } from './host.js'
import { touch } from './paths.js'
import type { Scope } from './scope.js'
import { after, NOTHING, type Stream, textStream, UNKNOWN } from './stream.js'

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
  for (const target of targets) {
    noteWritten(shell, target, output, scope)
    const isFile = shell.places
      .resolve(target, scope.directories)
      .some((place) => shell.places.zoneOf(place) !== 'harmless-device')
    if (isFile && output.kind === 'endless') shell.report('system.exhaust', 'writes without an end in sight')
  }
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

/** Of what was written into one file in this line; a longer one is not followed. */
const MAX_CONTENT_CHARS = 200_000

/** Remembers what a file may hold, for when it is run later in the line: all that was written to it, in whatever way. */
export function noteWritten(shell: ShellHost, target: Field, content: Stream, scope: Scope): void {
  for (const { path } of shell.places.resolve(target, scope.directories)) {
    if (path === undefined) continue
    const before = scope.written.get(path)
    const now = content.kind === 'none' ? UNKNOWN : content
    const all = before ? after(before, now) : now
    const isLong = all.kind === 'text' && shown(all.text).length > MAX_CONTENT_CHARS
    scope.written.set(path, isLong ? UNKNOWN : all)
  }
}
