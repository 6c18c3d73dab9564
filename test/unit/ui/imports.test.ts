/**
 * The dashboard is a client like any other: of the service it knows the client library and the words of the protocol.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { type Import, importsOf } from '../../support/import-rules.js'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

function importsUnder(folder: string): Import[] {
  return readdirSync(ROOT + folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.tsx?$/.test(path) && path !== 'vite.config.ts')
    .flatMap((path) => importsOf({ path: `${folder}/${path}`, text: readFileSync(`${ROOT}${folder}/${path}`, 'utf8') }))
}

/** Files of the protocol that hold more than types are taken into the page: they must bring no package along. */
const isLight = (path: string): boolean =>
  importsOf({ path, text: readFileSync(ROOT + path, 'utf8') }).every(
    ({ to, kind, typeOnly }) => typeOnly || (kind === 'file' && isLight(to)),
  )

function mayImport({ to, kind, typeOnly }: Import): boolean {
  if (kind === 'package') return to === 'preact'
  if (to.startsWith('ui/') || to === 'src/client/client.ts') return true
  return to.startsWith('src/protocol/') && (typeOnly || isLight(to))
}

test('the dashboard imports itself, preact, the client library and light words of the protocol', () => {
  const imports = importsUnder('ui')

  expect(imports.length).toBeGreaterThan(50)
  expect(imports.filter((each) => !mayImport(each)).map(({ from, to }) => `${from} imports ${to}`)).toEqual([])
})

test('what it thinks before it draws needs no browser', () => {
  const drawn = importsUnder('ui/model').filter(
    ({ to }) => !to.startsWith('ui/model/') && !to.startsWith('src/protocol/'),
  )

  expect(drawn).toEqual([])
})
