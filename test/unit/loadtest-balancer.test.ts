/**
 * The load tests' balancer is the compose cluster's, with other addresses; and what they draw.
 */
import { describe, expect, test } from 'vitest'
import { balancerConfig, balancerTemplate } from '../../loadtest/cluster/balancer-config.js'
import { svgOf } from '../../loadtest/measure/plot.js'
import { growthOf, leaks } from '../../loadtest/scenarios/soak.js'

const EDGES = [
  { port: 5001, metricsPort: 6001 },
  { port: 5002, metricsPort: 6002 },
]

describe('the configuration', () => {
  test('keeps how connections are dealt out and how edges are asked, and knows no Docker', () => {
    const config = balancerConfig(balancerTemplate(), 4000, EDGES)

    for (const line of [
      'balance leastconn',
      'http-check send meth GET uri /accepting',
      'timeout tunnel 1h',
      'retries 3',
    ])
      expect(config).toContain(line)
    expect(config).toContain('default-server inter 2s fastinter 500ms fall 2 rise 1')
    expect(config).toContain('bind 127.0.0.1:4000')
    expect(config).toContain('server edge-2 127.0.0.1:5002 check port 6002')
    expect(config).not.toMatch(/resolvers|docker|stats|8787|9090/)
  })

  test('a template without a line that is exchanged is refused', () => {
    expect(() => balancerConfig('global\n    maxconn 1\n', 4000, EDGES)).toThrow(/deploy\/haproxy.cfg has no line like/)
  })
})

test('a plot draws each series within its frame, and escapes names', () => {
  const svg = svgOf({
    ...{ name: 'rate', title: 'a < b', unit: 'per second', over: 'seconds' },
    series: [
      {
        name: 'answered',
        points: [
          [0, 0],
          [5, 40],
          [10, 90],
        ],
      },
    ],
  })

  expect(svg).toContain('a &lt; b (per second)')
  const [, points = ''] = /<polyline [^>]*points="([^"]*)"/.exec(svg) ?? []
  const places = points.split(' ').map((pair) => pair.split(',').map(Number) as [number, number])
  expect(places).toHaveLength(3)
  for (const [x, y] of places) {
    expect(x).toBeGreaterThanOrEqual(60)
    expect(x).toBeLessThanOrEqual(590)
    expect(y).toBeGreaterThanOrEqual(30)
    expect(y).toBeLessThanOrEqual(206)
  }
})

test('a soak finds what grows from its second quarter to its fourth, and lets Postgres grow', () => {
  const samples = Array.from({ length: 40 }, (_, second) => ({
    second,
    cores: {},
    residentMb: { worker: 200 + 5 * second, edge: 200 + second / 10, postgres: 100 + 10 * second },
  }))

  expect(leaks(growthOf(samples))).toEqual([expect.stringMatching(/^worker grew from 27\d to 37\d MB$/)])
})
