/**
 * The examples as they are in the package, compiled against it as strictly as a user may.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compile, installPackage, PACKAGE } from './packed-package.js'

export interface PackedExamples {
  /** Of the program that uses the package. */
  readonly folder: string
  /** A compiled example, such as `node/approvals`. */
  compiled(name: string): string
  remove(): void
}

const MORE = { lib: ['ES2023', 'DOM', 'DOM.Iterable'], jsx: 'react-jsx' }

export async function compiledExamples(): Promise<PackedExamples> {
  const folder = mkdtempSync(join(tmpdir(), 'examples-'))
  await installPackage(folder)
  cpSync(join(folder, 'node_modules', PACKAGE, 'examples'), join(folder, 'examples'), {
    recursive: true,
    filter: (path) => !path.endsWith('tsconfig.json'),
  })
  await compile(folder, ['examples'], MORE)
  return {
    folder,
    compiled: (name) => join(folder, 'out/examples', `${name}.js`),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
