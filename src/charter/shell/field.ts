/**
 * A word of a command after expansion: known text with holes where only the running shell knows what stands there.
 */

/**
 * `name` is some file name: without a slash, neither `.` nor `..`. `glob` is a part of one that a pattern matches. `below`
 * is a path that leads downward. `any` may be anything, also nothing.
 */
export type HoleKind = 'name' | 'glob' | 'below' | 'any'

export interface Hole {
  readonly hole: HoleKind
}

export type Piece = string | Hole
export type Field = readonly Piece[]

export const ANY: Field = [{ hole: 'any' }]
export const NAME: Field = [{ hole: 'name' }]

/** Joins pieces, with neighbouring text in one. */
export function joined(...fields: readonly Field[]): Field {
  const pieces: Piece[] = []
  for (const piece of fields.flat()) {
    const last = pieces.at(-1)
    if (piece === '') continue
    if (typeof piece === 'string' && typeof last === 'string') pieces[pieces.length - 1] = last + piece
    else pieces.push(piece)
  }
  return pieces
}

/** The text of a field without holes. */
export function textOf(field: Field | undefined): string | undefined {
  if (field === undefined) return undefined
  if (field.length === 0) return ''
  const [only] = field
  return field.length === 1 && typeof only === 'string' ? only : undefined
}

/** What is certain about the beginning of a field. */
export const headOf = (field: Field): string => (typeof field[0] === 'string' ? field[0] : '')

/** For people: holes shown as `…`, globs as `*`. */
export const shown = (field: Field): string =>
  field.map((piece) => (typeof piece === 'string' ? piece : piece.hole === 'glob' ? '*' : '…')).join('')

/** Splits at white space, as the shell does with what it expands outside of quotes. */
export function splitWords(field: Field): Field[] {
  const words: Field[] = []
  let word: Piece[] | undefined
  for (const piece of field) {
    if (typeof piece !== 'string') {
      word = [...(word ?? []), piece]
      continue
    }
    piece.split(/[ \t\n]+/).forEach((part, index) => {
      if (index > 0 && word) words.push(joined(word))
      if (index > 0) word = undefined
      if (part !== '') word = [...(word ?? []), part]
    })
  }
  if (word) words.push(joined(word))
  return words
}

/** Known text with `*`, `?` or `[` in it is a pattern where the shell finds it outside of quotes. */
export const withGlobs = (field: Field): Field =>
  joined(
    ...field.map((piece): Field => {
      if (typeof piece !== 'string' || !/[*?[]/.test(piece)) return [piece]
      return piece
        .split(/\*+|\?|\[[^\]]*\]/)
        .flatMap((text, index): Piece[] => (index > 0 ? [{ hole: 'glob' }, text] : [text]))
    }),
  )

/** Every argument, for people. */
export const shownAll = (fields: readonly Field[]): string[] => fields.map((field) => shown(field))
