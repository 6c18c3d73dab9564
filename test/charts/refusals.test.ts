/**
 * Wrong values are refused before anything reaches a cluster, with a sentence that says what is wrong.
 */
import { describe, expect, test } from 'vitest'
import { HELMS, needHelm, template } from '../support/charts.js'

const REFUSALS: readonly (readonly [what: string, values: readonly string[], sentence: RegExp])[] = [
  ['no Secret', ['secret.name='], /secret\.name is missing: make a Secret with the key DAEMON_JWT_SECRET/],
  ['no edges', ['edge.replicas=0'], /edge[./]replicas.*(greater than or equal to|minimum).* 1/],
  ['a name that means nothing', ['edge.replica=3'], /replica\W.*not allowed/],
  ['a section that means nothing', ['egde.replicas=3'], /egde\W.*not allowed/],
  ['a word for a number', ['worker.replicas=many'], /worker[./]replicas.*(integer|Invalid type)/],
  [
    'a secret in plain sight',
    ['settings.DAEMON_JWT_SECRET=x'],
    /put it into the Secret of secret\.name, under the key/,
  ],
  ['what the chart decides', ['settings.DAEMON_ROLE=all'], /the chart decides DAEMON_ROLE/],
  ['a setting with a slip in its name', ['settings.LOG_LEVLE=warn'], /LOG_LEVLE\W.*not allowed/],
  ['a reference for what is no secret', ['secret.references.LOG_LEVEL.name=s'], /LOG_LEVEL\W.*not allowed/],
  ['an unpinned image', ['image.tag=latest'], /image\.tag is latest: name a version/],
  ['an amount that is none', ['edge.resources.limits.memory=1GB'], /edge[./]resources[./]limits[./]memory/],
  ['an ingress without a host', ['ingress.enabled=true'], /ingress\.host is missing: .* such as agents\.example\.com/],
  ['a controller that nobody knows', ['ingress.controller=ngins'], /ingress[./]controller.*nginx/],
  ['a route without a Gateway', ['gateway.enabled=true'], /gateway\.parentRefs is empty: name the Gateway/],
  [
    'two autoscalers of workers',
    ['worker.autoscaling.enabled=true', 'worker.keda.enabled=true', 'worker.keda.serverAddress=http://p'],
    /two autoscalers would work against each other/,
  ],
  ['KEDA without Prometheus', ['worker.keda.enabled=true'], /worker\.keda\.serverAddress is missing/],
  [
    'an autoscaler with nothing to go by',
    ['edge.autoscaling.enabled=true', 'edge.autoscaling.connections=0', 'edge.autoscaling.cpuPercent=0'],
    /edge\.autoscaling has nothing to go by/,
  ],
  [
    'more pods at least than at most',
    ['worker.autoscaling.enabled=true', 'worker.autoscaling.minReplicas=30'],
    /worker\.autoscaling\.minReplicas \(30\) is above maxReplicas \(20\)/,
  ],
  ['a drain that would be cut off', ['settings.DRAIN_TIMEOUT=3600000'], /would kill turns before their time; raise it/],
  [
    'two kinds of Redis',
    ['redis.bundled=true', 'settings.REDIS_CLUSTER_NODES=a:6379'],
    /redis\.bundled is true, and settings name another Redis/,
  ],
  ['Sentinels without a master', ['settings.REDIS_SENTINELS=a:26379'], /REDIS_SENTINEL_MASTER is missing/],
  ['metrics over TLS without a certificate', ['tls.metrics=true'], /tls\.secret is missing: .* kubernetes\.io\/tls/],
  [
    'metrics over TLS with the key of the edges alone',
    ['tls.secret=t', 'tls.metrics=true'],
    /tls\.metricsSecret is missing: .* could read the key of the edges/,
  ],
  ['a switch of TLS where the chart has its own', ['settings.METRICS_TLS=true'], /left out here: set tls\.metrics/],
  [
    'a Gateway that would speak plain to edges with TLS',
    ['tls.secret=t', 'gateway.enabled=true', 'gateway.parentRefs[0].name=g'],
    /let the Gateway end TLS and leave tls\.secret empty/,
  ],
  [
    'Traefik, which would do the same',
    ['tls.secret=t', 'ingress.enabled=true', 'ingress.host=a.b', 'ingress.controller=traefik'],
    /Traefik would speak plain HTTP/,
  ],
  ['a peer that is none', ['networkPolicy.clients[0].podSelecter.a=b'], /podSelecter\W.*not allowed/],
]

describe.each(HELMS)('%s refuses', (helm) => {
  test.for(REFUSALS)('%s', ([, values, sentence], context) => {
    needHelm(context, helm)

    const { status, stderr } = template(
      ['secret.name=s', ...values].flatMap((value) => ['--set', value]),
      helm,
    )

    expect(status).not.toBe(0)
    expect(stderr.replaceAll('\n', ' ')).toMatch(sentence)
  })
})

test('a drain of two minutes may have a short grace', (context) => {
  needHelm(context)
  const values = ['secret.name=s', 'settings.DRAIN_TIMEOUT=120000', 'worker.terminationGracePeriodSeconds=180']

  const { status, stderr } = template(values.flatMap((value) => ['--set', value]))

  expect(status, stderr).toBe(0)
})
