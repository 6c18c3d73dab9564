/**
 * echo and printf: what they print is often what is run next.
 */
import { ANY, type Field, headOf, joined, NAME, textOf } from './field.js'
import type { Invocation } from './host.js'
import { operandsOf } from './options.js'
import { NOTHING, type Stream, textStream, UNKNOWN } from './stream.js'
import { checkVariable } from './variables.js'

export function echo({ args }: Invocation): Stream {
  const end = args.findIndex((arg) => !/^-[neE]+$/.test(textOf(arg) ?? ''))
  const options = args.slice(0, end < 0 ? args.length : end).map((option) => headOf(option))
  const words = args.slice(options.length).flatMap((arg, index): Field[] => (index === 0 ? [arg] : [[' '], arg]))
  const line = joined(...words, [options.some((option) => option.includes('n')) ? '' : '\n'])
  const escapes = options.some((option) => option.includes('e'))
  return textStream(escapes ? line.map((piece) => (typeof piece === 'string' ? unescaped(piece) : piece)) : line)
}

/** The usual formats; what is formatted any other way is not known. */
export function printf({ shell, args, scope }: Invocation): Stream {
  if (textOf(args[0]) === '-v') {
    const name = textOf(args[1])
    if (name !== undefined) {
      scope.variables.set(name, 'unknown')
      checkVariable(shell, name, ANY, scope)
    }
    return NOTHING
  }
  const [format, ...values] = operandsOf(args, [], true)
  const text = textOf(format)
  if (text === undefined) return UNKNOWN
  const slots = [...text.matchAll(/%(.)/g)].filter(([, kind]) => kind !== '%').length
  let output: Field = []
  let left = values
  do {
    output = joined(output, formatted(text, left))
    left = left.slice(Math.max(slots, 1))
  } while (slots > 0 && left.length > 0)
  return textStream(output)
}

function formatted(format: string, values: readonly Field[]): Field {
  let next = 0
  const pieces = format.split(/(%[^a-zA-Z%]*[a-zA-Z%])/).map((piece): Field => {
    if (!piece.startsWith('%') || piece.length < 2) return [unescaped(piece)]
    if (piece === '%%') return ['%']
    const value = values[next++] ?? []
    if (piece === '%s') return value
    if (piece === '%b') return value.map((part) => (typeof part === 'string' ? unescaped(part) : part))
    return /[dixXuofeg]$/.test(piece) ? NAME : ANY
  })
  return joined(...pieces)
}

const NAMED: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  '\\': '\\',
  a: '\x07',
  b: '\b',
  e: '\x1b',
  f: '\f',
  v: '\v',
  '"': '"',
  "'": "'",
}

/** Backslash sequences as `echo -e` and `printf` read them. */
function unescaped(text: string): string {
  return text.replace(
    /\\(x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|0?([0-7]{1,3})|(.))/g,
    (whole, _all, hex?: string, unicode?: string, octal?: string, named?: string) => {
      if (hex ?? unicode) return String.fromCodePoint(Number.parseInt(hex ?? unicode ?? '0', 16))
      if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8))
      return NAMED[named ?? ''] ?? whole
    },
  )
}
