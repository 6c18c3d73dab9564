/**
 * The description of the HTTP door (row H-04): an OpenAPI 3.1 document of every endpoint, and a page for people.
 */
import { expect, test } from 'vitest'
import { ERRORS } from '../../../src/protocol/errors.js'
import { ENDPOINT_NAMES, ENDPOINTS } from '../../../src/protocol/rest/endpoints.js'
import { OpenApi } from '../../support/openapi.js'
import { AUTH, startEdge } from '../wire/edge-fixture.js'
import { Requester } from './http-fixture.js'

async function described() {
  const edge = await startEdge({ auth: AUTH })
  const nobody = new Requester(edge.url.replace('ws:', 'http:'), {})
  return { nobody, document: (await nobody.get('/api/openapi.json')).body }
}

test('H-04: everybody may read it, and every endpoint is in it, under each of its paths', async () => {
  const { document } = await described()
  const { operations } = new OpenApi(document)

  expect(document.openapi).toBe('3.1.0')
  const expected = ENDPOINT_NAMES.flatMap((name) => {
    const { method, path, ...more } = ENDPOINTS[name]
    return [path, ...('aliases' in more ? more.aliases : [])].map((each) => `${method} ${each.replace('*}', '}')}`)
  })
  expect(operations.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(expected.sort())
  expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length)
})

test('every reference in it leads somewhere', async () => {
  const { document } = await described()

  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, target = '']) => target)

  expect(references.length).toBeGreaterThan(10)
  for (const target of new Set(references)) {
    const found = target
      .slice(2)
      .split('/')
      .reduce((inner, key) => inner?.[key], document)
    expect(found, target).toBeTypeOf('object')
  }
})

test('every path names its parameters', async () => {
  const { document } = await described()

  for (const { path, parameters } of new OpenApi(document).operations) {
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
    expect(
      parameters
        .filter((each) => each.in === 'path')
        .map(({ name }) => name)
        .sort(),
      path,
    ).toEqual(named.sort())
  }
})

test('the page shows every endpoint and every error, and no browser runs anything of it', async () => {
  const { nobody } = await described()

  const { status, headers, body } = await nobody.get('/api/docs')

  expect(status).toBe(200)
  expect(headers.get('content-type')).toBe('text/html; charset=utf-8')
  expect(headers.get('content-security-policy')).toContain("default-src 'none'")
  for (const name of ENDPOINT_NAMES) expect(body).toContain(`<code>${ENDPOINTS[name].path}</code>`)
  for (const code of Object.keys(ERRORS)) expect(body).toContain(`id="${code}"`)
})
