/**
 * The package as a program finds it: packed, and unpacked into the program's own `node_modules`, beside links to everything
 * that it depends on.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
export const PACKAGE = '@wundr.io/orchestrator-daemon'

/** As strict as a user may be; declarations of the package are checked too. */
export const STRICT = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  target: 'ES2023',
  module: 'nodenext',
  types: ['node'],
  outDir: 'out',
  rootDir: '.',
}

/** @throws Error with what the build of this run failed with */
export async function installPackage(folder: string): Promise<void> {
  if (process.env.TEST_BUILD_ERROR) throw new Error(`the build failed:\n${process.env.TEST_BUILD_ERROR}`)
  // Without scripts: they would build `dist` anew under the other tests.
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
    cwd: ROOT,
  })
  const [packed] = JSON.parse(stdout) as { filename: string }[]
  const target = join(folder, 'node_modules', PACKAGE)
  mkdirSync(target, { recursive: true })
  await run('tar', ['xzf', join(folder, packed?.filename ?? ''), '-C', target, '--strip-components=1'])
  const installed = join(ROOT, 'node_modules')
  for (const name of readdirSync(installed)) {
    if (!name.startsWith('.')) symlinkSync(join(installed, name), join(folder, 'node_modules', name))
  }
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'a-program', type: 'module' }))
}

/** Compiles what `include` names, with `more` on top of the strictest options. @throws Error with the compiler's words */
export async function compile(folder: string, include: readonly string[], more: object = {}): Promise<void> {
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...STRICT, ...more }, include }))
  await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc')], { cwd: folder }).catch(
    ({ stdout }: { stdout: string }) => {
      throw new Error(`the programs do not compile:\n${stdout}`)
    },
  )
}
