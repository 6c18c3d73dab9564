/**
 * Programs that write as much as they are told: what fills a disk is found here.
 */
import { type Field, headOf, joined, textOf } from './field.js'
import { named, type Program, type Programs } from './host.js'
import { operandsOf, valuesOf } from './options.js'
import { touch } from './paths.js'
import { noteWritten } from './redirection.js'
import { NOTHING, UNKNOWN } from './stream.js'

/** A file as large as this fills most disks that an agent is given. */
const HUGE_BYTES = 10 * 1024 ** 3

/** Devices that never come to an end. */
export const ENDLESS = /^\/dev\/(zero|full|random|urandom)$/

const dd: Program = ({ shell, args, scope }) => {
  const value = (key: string): Field | undefined => {
    const arg = args.find((each) => headOf(each).startsWith(`${key}=`))
    return arg && joined([headOf(arg).slice(key.length + 1)], arg.slice(1))
  }
  const [input, output] = [value('if'), value('of')]
  if (input) touch(shell, 'read', input, scope)
  if (!output) return UNKNOWN
  touch(shell, 'write', output, scope)
  noteWritten(shell, output, UNKNOWN, scope)
  if (!input || !ENDLESS.test(textOf(input) ?? '')) return NOTHING
  const count = Number(textOf(value('count')) ?? Number.POSITIVE_INFINITY)
  const bytes = count * bytesOf(textOf(value('bs')) ?? '512')
  if (!(bytes < HUGE_BYTES)) shell.report('system.exhaust', 'writes without an end in sight')
  return NOTHING
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
  p: 1024 ** 5,
}

function bytesOf(text: string): number {
  const match = /^\+?(\d+)\s*([kmgtp]?)i?b?$/i.exec(text)
  return match ? Number(match[1]) * (UNITS[(match[2] ?? '').toLowerCase()] ?? 1) : Number.POSITIVE_INFINITY
}

const resize: Program = ({ shell, args, scope }) => {
  const sizes = valuesOf(args, ['-s', '-l', '--size', '--length'])
  if (sizes.some((size) => bytesOf(textOf(size) ?? '') >= HUGE_BYTES)) {
    shell.report('system.exhaust', 'makes a file that fills the disk')
  }
  for (const operand of operandsOf(args, ['-s', '-l', '-r', '-o', '--size', '--length', '--reference']))
    touch(shell, 'write', operand, scope)
  return NOTHING
}

export const SIZE_PROGRAMS: Programs = { ...named(resize, 'truncate fallocate'), dd }
