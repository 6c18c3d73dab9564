/**
 * `k8s` is the same cluster as the chart: object by object and field by field, but for names of makers and hooks.
 */
import { expect, test } from 'vitest'
import { allSettings } from '../../src/config/schema.js'
import { chartObjects, kustomizeObjects, needHelm, needKubectl, valuesFile } from '../support/charts.js'
import { comparable } from '../support/manifest-comparison.js'
import { daemonsOf, type Manifest } from '../support/manifest-faults.js'

test.for([
  ['k8s/overlays/kind', 'bundled'],
  ['k8s/overlays/production', 'production'],
] as const)('%s is what the chart makes of the values %s', ([folder, set], context) => {
  needHelm(context)
  needKubectl(context)

  const [ours, charts] = [comparable(kustomizeObjects(folder)), comparable(chartObjects(valuesFile(set)))]

  expect(Object.keys(ours).sort()).toEqual(Object.keys(charts).sort())
  for (const [title, object] of Object.entries(ours)) expect(object, title).toEqual(charts[title])
})

/** Names of secret values by role, as the pods get them. */
const secretsByRole = (manifests: readonly Manifest[]) =>
  daemonsOf(manifests).map(({ env = [] }) => {
    const role = env.find(({ name }) => name === 'DAEMON_ROLE') as { readonly value?: string } | undefined
    return [
      role?.value,
      env
        .filter(({ valueFrom }) => valueFrom?.secretKeyRef)
        .map(({ name }) => name)
        .sort(),
    ]
  })

test('a pod gets only the secrets that its role needs', (context) => {
  needHelm(context)

  const secrets = Object.fromEntries(secretsByRole(chartObjects(valuesFile('external'))))

  expect(secrets).toEqual({
    coordinator: ['DATABASE_URL', 'OTEL_EXPORTER_OTLP_HEADERS', 'REDIS_URL'],
    edge: [
      ...['DAEMON_AUTH_API_KEYS', 'DAEMON_JWT_PREVIOUS_SECRETS', 'DAEMON_JWT_SECRET', 'DATABASE_URL'],
      ...['NEOLITH_API_KEY', 'NEOLITH_API_SECRET', 'OTEL_EXPORTER_OTLP_HEADERS', 'REDIS_URL'],
    ],
    worker: [
      ...['ANTHROPIC_API_KEY', 'DATABASE_URL', 'NEOLITH_API_KEY', 'OPENAI_API_KEY', 'OTEL_EXPORTER_OTLP_HEADERS'],
      ...['REDIS_URL', 'TOKEN_BUDGET_CHAT_URL', 'TOKEN_BUDGET_WEBHOOK_SECRET', 'TOKEN_BUDGET_WEBHOOK_URL'],
    ],
  })
})

test('each secret setting reaches some role of the chart, with what it needs', (context) => {
  needHelm(context)
  const values = [...valuesFile('open'), '--set', 'tls.secret=t']
  const sets = ['bundled', 'external', 'keda'].map(valuesFile)
  const objects = [values, ...sets].flatMap((each) => chartObjects(each))
  const given = new Set(secretsByRole(objects).flatMap(([, names]) => names))

  const secrets = allSettings().flatMap(({ setting }) => (setting.secret ? [setting.env] : []))

  expect(secrets.filter((name) => !given.has(name))).toEqual([])
})

test('where memory is searched by meaning, each role gets the key of the model that understands it', (context) => {
  needHelm(context)

  const secrets = secretsByRole(chartObjects(valuesFile('keda')))

  expect(secrets.map(([, names]) => names?.includes('OPENAI_API_KEY'))).toEqual([true, true, true])
})

test('values reach the pods as they were written', (context) => {
  needHelm(context)
  const objects = chartObjects(valuesFile('keda'))
  const map = (name: string) =>
    objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === name)?.data

  // A number of a values file is a float to helm: it would be written as 2.097152e+06.
  expect(map('orchestrator-daemon')).toMatchObject({ DAEMON_MAX_MESSAGE_BYTES: '2097152' })
  expect(map('orchestrator-daemon-files')).toEqual({
    'charter.yaml': 'version: 1\n# A brace {{ of no template, and "quotes".\n',
  })
  const [edge] = daemonsOf(objects)
  expect(edge?.image).toBe('registry.example:5000/agents/orchestrator-daemon:2.0.0-slim')
  expect(edge?.volumeMounts).toContainEqual({ name: 'files', mountPath: '/etc/orchestrator', readOnly: true })
  const variable = edge?.env?.find(({ name }) => name === 'DATABASE_URL')
  expect(variable?.valueFrom?.secretKeyRef).toMatchObject({ name: 'agents-app', key: 'uri' })
})
