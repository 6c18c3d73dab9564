/**
 * Rows of a list that is fetched in pages, newest first, while new ones come.
 */

interface Row {
  readonly id: string
}

/** The newest page takes the place of what was there as far down as it reaches. */
export function renewed<T extends Row>(rows: readonly T[], newest: readonly T[]): readonly T[] {
  const last = newest.at(-1)
  const reach = last === undefined ? -1 : rows.findIndex(({ id }) => id === last.id)
  return reach === -1 ? joined(newest, rows) : [...newest, ...rows.slice(reach + 1)]
}

/** Sessions that came meanwhile have pushed others down: those are met twice. */
export function joined<T extends Row>(rows: readonly T[], more: readonly T[]): readonly T[] {
  const known = new Set(rows.map(({ id }) => id))
  return [...rows, ...more.filter(({ id }) => !known.has(id))]
}
