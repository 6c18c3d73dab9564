/**
 * Memory of processes that share much with each other: what is theirs alone, and their fair part of the rest.
 */
import { readdirSync, readFileSync } from 'node:fs'

const KIB = 1024

export interface FamilyMemory {
  readonly processes: number
  /** What would be free if they ended. */
  readonly privateBytes: number
  /** With their part of what several have mapped. */
  readonly proportionalBytes: number
  readonly residentBytes: number
}

/** Of all processes called `name` that descend from `root`. */
export function familyMemory(root: number, name: string): FamilyMemory {
  const rollups = descendants(root)
    .filter((pid) => textOf(`/proc/${pid}/comm`).trim() === name)
    .map((pid) => textOf(`/proc/${pid}/smaps_rollup`))
    .filter((text) => text !== '')
  const sum = (...fields: readonly string[]): number =>
    rollups.reduce((total, text) => total + fields.reduce((of, field) => of + kib(text, field), 0), 0) * KIB
  return {
    processes: rollups.length,
    privateBytes: sum('Private_Clean', 'Private_Dirty'),
    proportionalBytes: sum('Pss'),
    residentBytes: sum('Rss'),
  }
}

function descendants(root: number): number[] {
  const children = new Map<number, number[]>()
  for (const pid of readdirSync('/proc').map(Number).filter(Number.isInteger)) {
    const stat = textOf(`/proc/${pid}/stat`)
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
    children.set(parent, [...(children.get(parent) ?? []), pid])
  }
  const family: number[] = []
  const waiting = [...(children.get(root) ?? [])]
  for (let pid = waiting.pop(); pid !== undefined; pid = waiting.pop()) {
    family.push(pid)
    waiting.push(...(children.get(pid) ?? []))
  }
  return family
}

const kib = (text: string, field: string): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0)

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // The process has ended meanwhile.
  }
}
