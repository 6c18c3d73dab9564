/**
 * The files that deploy the service agree with the service and with each other. Needs no tool: it runs everywhere.
 */
import { expect, test } from 'vitest'
import { SETTINGS } from '../../../src/config/schema.js'
import { Health } from '../../../src/telemetry/health.js'
import { createMetrics } from '../../../src/telemetry/metrics.js'
import { Pages } from '../../../src/telemetry/pages.js'
import { VERSION } from '../../../src/version.js'
import { filesUnder, parseYaml, readText, settingNames } from '../../support/deployment-files.js'
import { isPinned } from '../../support/manifest-faults.js'

interface Service {
  readonly image: string
  readonly environment?: Readonly<Record<string, string | number>>
  readonly env_file?: object
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly profiles?: readonly string[]
  readonly read_only?: boolean
  readonly cap_drop?: readonly string[]
  readonly security_opt?: readonly string[]
  readonly ports?: readonly string[]
}

const COMPOSE = 'docker-compose.cluster.yml'
const clientPort = SETTINGS.server.port.fallback
const metricsPort = SETTINGS.monitoring.metricsPort.fallback

function services(path = COMPOSE): [string, Service][] {
  const [file] = parseYaml(readText(path)) as { services: Record<string, Service> }[]
  return Object.entries(file?.services ?? {})
}

const daemons = () => services().filter(([, { environment }]) => environment?.DAEMON_ROLE !== undefined)
/** Of everything that runs our image. */
const ours = (path = COMPOSE) => services(path).filter(([, { env_file: settings }]) => settings !== undefined)
const imageLines = (path: string) => readText(path).match(/(?<=^\s*image:\s+)[^\s{]\S*$/gm) ?? []

const OVERLAYS = ['deploy/compose.sentinel.yml', 'deploy/compose.redis-cluster.yml']
const COMPOSE_FILES = [COMPOSE, ...OVERLAYS, 'deploy/compose.yml']
const YAML_FILES = [
  ...COMPOSE_FILES,
  'docker-compose.yml',
  'docker-compose.dev.yml',
  'helm/Chart.yaml',
  'helm/values.yaml',
  ...filesUnder('helm/ci', '.yaml'),
  ...filesUnder('k8s', '.yaml'),
]

test.each(YAML_FILES)('%s is YAML without a key that stands there twice', (path) => {
  expect(parseYaml(readText(path)).length).toBeGreaterThan(0)
})

test('C-26: the compose cluster runs each role, with settings that exist', () => {
  const known = settingNames()
  const names = ours().flatMap(([, { environment = {} }]) => Object.keys(environment))
  const single = ours('deploy/compose.yml').flatMap(([, { environment = {} }]) => Object.keys(environment))

  expect(daemons().map(([name, { environment }]) => [name, environment?.DAEMON_ROLE])).toEqual([
    ['edge', 'edge'],
    ['worker', 'worker'],
    ['coordinator', 'coordinator'],
  ])
  expect([...names, ...single].filter((name) => !known.has(name))).toEqual([])
  expect(single).toContain('DAEMON_JWT_SECRET')
})

test('nobody of the compose cluster works before the database is up to date', () => {
  expect(daemons().map(([, { depends_on: first }]) => first?.migration?.condition)).toEqual(
    Array.from({ length: 3 }, () => 'service_completed_successfully'),
  )
})

test.each(OVERLAYS)('%s shows each role the way to its Redis, by settings that exist', (path) => {
  const known = settingNames()
  const roles = services(path).filter(([name]) => ['edge', 'worker', 'coordinator'].includes(name))

  expect(roles).toHaveLength(3)
  for (const [name, { environment = {} }] of roles) {
    expect(environment.REDIS_URL, name).toBe('')
    expect(Object.keys(environment).filter((setting) => !known.has(setting))).toEqual([])
  }
})

test('what .env.example says of compose are names that the compose files read', () => {
  const text = readText('.env.example')
  const said = text.slice(text.indexOf('# --- docker compose')).match(/(?<=^#)[A-Z_]+(?==)/gm) ?? []
  const read = COMPOSE_FILES.map(readText).join('\n')

  expect(said).toContain('ORCHESTRATOR_IMAGE')
  expect(said.filter((name) => name !== 'COMPOSE_PROFILES' && !read.includes(`\${${name}:-`))).toEqual([])
})

test('C-25: the image starts the daemon, as a user who is not root', () => {
  const image = readText('deploy/Dockerfile')

  expect(image).toMatch(/^ENTRYPOINT \[.*"orchestrator-daemon"\]$/m)
  expect(image).toMatch(/^CMD \["start"\]$/m)
  expect(image).toMatch(/^USER 1000:1000$/m)
})

test('C-25: settings that the image and the chart name exist', () => {
  const known = settingNames()
  const inImage = readText('deploy/Dockerfile').match(/(?<=^(?:ENV .*| {4}))[A-Z][A-Z_]+(?==)/gm) ?? []
  const inChart = readText('helm/templates/_environment.tpl').match(/(?<=- name: |"key" ")[A-Z][A-Z_]+/g) ?? []
  const refused = readText('helm/values.schema.json').match(/(?<=")[A-Z][A-Z_]+(?=")/g) ?? []

  expect(inImage).toContain('DAEMON_HOST')
  expect(inChart).toEqual(expect.arrayContaining(['DAEMON_ROLE', 'DAEMON_JWT_SECRET']))
  expect(refused).toContain('DATABASE_URL')
  expect([...inImage, ...inChart, ...refused].filter((name) => !known.has(name))).toEqual([])
})

test('each role of the compose cluster gets only the secrets that it needs', () => {
  const empty = daemons().map(([name, { environment = {} }]) => [
    name,
    ['DAEMON_JWT_SECRET', 'DAEMON_AUTH_API_KEYS', 'OPENAI_API_KEY', 'ANTHROPIC_API_KEY'].filter(
      (secret) => environment[secret] === '',
    ),
  ])

  expect(Object.fromEntries(empty)).toEqual({
    edge: ['ANTHROPIC_API_KEY'],
    worker: ['DAEMON_JWT_SECRET', 'DAEMON_AUTH_API_KEYS'],
    coordinator: ['DAEMON_JWT_SECRET', 'DAEMON_AUTH_API_KEYS', 'OPENAI_API_KEY', 'ANTHROPIC_API_KEY'],
  })
  // An edge has the key of the vendor only where memory is searched by meaning.
  const [, edge] = daemons().find(([name]) => name === 'edge') ?? []
  expect(edge?.environment?.OPENAI_API_KEY).toMatch(/^\$\{MEMORY_EMBEDDING_MODEL:\+\$\{OPENAI_API_KEY:-\}\}$/)
})

test('containers of the compose cluster cannot write to their image or gain rights, and only the balancer is open', () => {
  const all = COMPOSE_FILES.flatMap((path) => services(path)).filter(([, { image }]) => image !== undefined)
  expect(all.length).toBeGreaterThan(15)
  for (const [name, service] of all) {
    expect(service, name).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
    })
  }
  const open = services().filter(([, { ports = [] }]) => ports.some((port) => !port.startsWith('127.0.0.1:')))
  expect(open).toMatchObject([['balancer', { ports: [expect.any(String)] }]])
})

test('the image for work on the source says when it is ready, and has the dashboard', () => {
  const [, stage = ''] = readText('deploy/Dockerfile').match(/ AS dev\n([\s\S]*?)\nFROM /) ?? []

  expect(stage).toMatch(/^HEALTHCHECK .*"deploy\/health-check.mjs"\]$/m)
  expect(stage).toContain('RUN npm run -s build:ui')
})

test('every program that holds the environment in the image is closed to its own user, and its debugger too', () => {
  const file = readText('deploy/Dockerfile')
  const [, closed = ''] = file.match(/chmod 0711 (.+?)( \\)?$/m) ?? []
  const delivered = file.slice(file.indexOf(' AS slim\n'))
  const [, entry = '[]'] = delivered.match(/^ENTRYPOINT (.+)$/m) ?? []
  const [, check = '[]'] = delivered.match(/^HEALTHCHECK [^[]*(\[.+\])$/m) ?? []

  expect(closed.split(' ')).toEqual(['/out/tini', '/out/node'])
  expect(file).toContain('COPY --from=build /out/tini /usr/bin/tini')
  expect(file).toContain('COPY --from=build /out/node /usr/local/bin/node')
  expect(JSON.parse(entry)).toEqual(['/usr/bin/tini', '--', 'orchestrator-daemon'])
  expect(JSON.parse(check).slice(0, 2)).toEqual(['node', '--disable-sigusr1'])
  expect(file).toContain("sed -i '1s|.*|#!/usr/local/bin/node --disable-sigusr1|' dist/main.js")
})

test('the stage that builds the program gets everything that is built', () => {
  const [, stage = ''] = readText('deploy/Dockerfile').match(/ AS build\n([\s\S]*?)npm run build/) ?? []
  const context = readText('.dockerignore')

  for (const path of ['src', 'ui', 'scripts/copy-assets.mjs', 'scripts/client-bundle.mjs']) {
    expect(stage, path).toMatch(new RegExp(`^COPY (.* )?${path} `, 'm'))
    expect(context, path).toContain(`\n!${path}\n`)
  }
})

test('the ports are those of the settings everywhere', () => {
  const balancer = readText('deploy/haproxy.cfg')
  const [, service] = services().find(([name]) => name === 'balancer') ?? []

  expect(readText('deploy/Dockerfile')).toContain(`\nEXPOSE ${clientPort} ${metricsPort}\n`)
  expect(service?.ports).toEqual([`\${DAEMON_PORT:-${clientPort}}:${clientPort}`])
  for (const [, { environment }] of daemons()) {
    expect(environment).toMatchObject({ DAEMON_PORT: Number(clientPort), METRICS_PORT: Number(metricsPort) })
  }
  expect(balancer).toContain(`bind :${clientPort}\n`)
  expect(balancer).toMatch(new RegExp(`server-template edge \\d+ edge:${clientPort}$`, 'm'))
  expect(balancer).toContain(`check port ${metricsPort} `)
  const chart = readText('helm/templates/edge.yaml')
  expect(chart).toContain(`{ name: clients, containerPort: ${clientPort} }`)
  expect(chart).toContain(`{ name: metrics, containerPort: ${metricsPort} }`)
})

test('health checks ask for pages that the metrics port has', () => {
  const metricsPath = SETTINGS.monitoring.metricsPath.fallback ?? ''
  const alerts = { active: async () => [] }
  const pages = new Pages({ metrics: createMetrics(), health: new Health(), alerts, metricsPath, version: VERSION })
  const asked = [
    ...readText('deploy/haproxy.cfg').matchAll(/send meth GET uri (\S+)/g),
    ...readText('deploy/health-check.mjs').matchAll(/\}(\/\w+)`/g),
    ...readText('helm/templates/_pod.tpl').matchAll(/httpGet: \{ path: (\S+),/g),
    ...readText('k8s/base/every-role.yaml').matchAll(/httpGet: \{ path: (\S+),/g),
  ].map(([, path = '']) => path)

  expect(asked).toHaveLength(1 + 1 + 3 + 3)
  expect(asked).toContain('/accepting')
  expect(pages.openPaths).toEqual(expect.arrayContaining(asked))
})

test('every file names this version of the service', () => {
  const [chart] = parseYaml(readText('helm/Chart.yaml')) as { appVersion: string }[]
  const own = [...ours(), ...ours('deploy/compose.yml')].map(([, { image }]) => image)

  expect(chart?.appVersion).toBe(VERSION)
  expect(own).toHaveLength(3 + 1 + 1)
  expect(new Set(own)).toEqual(new Set([`\${ORCHESTRATOR_IMAGE:-orchestrator-daemon:${VERSION}}`]))
  expect(readText('k8s/base/kustomization.yaml')).toContain(`name: orchestrator-daemon, newTag: ${VERSION} `)
})

test('images of others are pinned to a version', () => {
  const stages: string[] = readText('deploy/Dockerfile').match(/(?<= AS )\S+$/gm) ?? []
  const named = readText('deploy/Dockerfile').match(/(?<=^FROM )\S+/gm) ?? []
  const bases = new Set(named.filter((name) => !stages.includes(name)))
  const images = [
    ...COMPOSE_FILES,
    'deploy/compose.dev.yml',
    'helm/values.yaml',
    ...filesUnder('k8s/components', '.yaml'),
  ].flatMap(imageLines)

  expect([...bases]).toEqual(['node:24-trixie-slim', 'debian:trixie-slim'])
  expect(images.length).toBeGreaterThan(5)
  expect([...bases, ...images].filter((image) => !isPinned(image))).toEqual([])
})
