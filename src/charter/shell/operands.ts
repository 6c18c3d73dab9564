/**
 * Programs that do one thing to all paths that they are given.
 */
import type { Program } from './host.js'
import { operandsOf } from './options.js'
import { type Touch, touch } from './paths.js'
import { type Stream, UNKNOWN } from './stream.js'

/** Touches all operands; `skip` leaves out leading ones that are no paths. */
export const on =
  (how: Touch, valued: readonly string[] = [], skip = 0): Program =>
  (call) => {
    const operands = operandsOf(call.args, valued).slice(skip)
    for (const operand of operands) touch(call.shell, how, operand, call.scope)
    return operands.length === 0 ? passing(call.stdin) : UNKNOWN
  }

/** What a filter lets through: of paths, paths. */
export const passing = (stream: Stream): Stream => (stream.kind === 'paths' ? stream : UNKNOWN)

/** Options of filters that take a number or a word. */
export const COUNTED = ['-n', '-c', '-s', '-f', '-d', '-w', '-b', '-k', '-t', '-l', '-N', '-j', '-A', '-i', '-m']
