/**
 * The task of the demo's session, and the proof that its report is right: the numbers are counted again, without a model.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const WORD = 'ServiceError'
export const REPORT = 'report.md'

/** `sources` is the folder that the session copies into its workspace, where its tools can reach it. */
export const reportTask = (sources: string): string => `\
Write a short report on the source code of this project: how many files it has, and how many of their lines contain "${WORD}".
First copy the sources into your workspace with exactly this command: \`cp -r '${sources}' .\`
Then look around: list the files, read src/README.md to see what the project is, count with bash (find, grep, wc).
Write the file ${REPORT} with a heading, a sentence on the project, and these two lines, in plain digits:
- <number> files in the workspace
- <number> lines contain "${WORD}"
Do not count ${REPORT} itself or hidden directories.`

export interface CheckedReport {
  readonly text: string
  readonly files: number
  readonly lines: number
  /** What is wrong with it, as sentences. */
  readonly faults: readonly string[]
}

/** Reads the report in a session's workspace and counts again what it says. */
export function checkReport(workspace: string): CheckedReport {
  const { files, lines } = count(workspace)
  const text = readReport(workspace)
  if (text === undefined) return { text: '', files, lines, faults: [`there is no ${REPORT} in the workspace`] }
  const faults = [
    ...(files === 0 ? ['no file was copied into the workspace'] : []),
    ...disagreement('files', /(\d+) files/.exec(text)?.[1], files),
    ...disagreement('lines', /(\d+) lines/.exec(text)?.[1], lines),
  ]
  return { text, files, lines, faults }
}

function disagreement(what: string, said: string | undefined, counted: number): string[] {
  return Number(said) === counted ? [] : [`the report says ${said ?? 'nothing of'} ${what}, there are ${counted}`]
}

function readReport(workspace: string): string | undefined {
  try {
    return readFileSync(join(workspace, REPORT), 'utf8')
  } catch {
    return undefined // The session wrote none, or has no workspace.
  }
}

function count(workspace: string): { readonly files: number; readonly lines: number } {
  const paths = filesIn(workspace).filter((path) => path !== join(workspace, REPORT))
  const lines = paths.flatMap((path) => readFileSync(path, 'utf8').split('\n')).filter((line) => line.includes(WORD))
  return { files: paths.length, lines: lines.length }
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.name.startsWith('.')) return []
    return entry.isDirectory() ? filesIn(path) : [path]
  })
}
