/**
 * The reader of PromQL finds what an expression needs, and nothing else.
 */
import { expect, test } from 'vitest'
import { groupingLabels, selectorsIn } from '../../support/promql.js'

test('selectors have their metric and their matchers, in functions, ranges and operators', () => {
  const expression = `
    histogram_quantile(0.99, sum by (role, le) (rate(lag_bucket{role=~"edge|worker", le!="+Inf"}[5m])))
    / on (namespace) group_left (version) 0 * node:load:ratio1h > 14.4 * 0.001 unless up{job='orchestrator'} offset 5m`

  expect(selectorsIn(expression)).toEqual([
    {
      metric: 'lag_bucket',
      matchers: [
        { label: 'role', operator: '=~', value: 'edge|worker' },
        { label: 'le', operator: '!=', value: '+Inf' },
      ],
    },
    { metric: 'node:load:ratio1h', matchers: [] },
    { metric: 'up', matchers: [{ label: 'job', operator: '=', value: 'orchestrator' }] },
  ])
  expect(groupingLabels(expression)).toEqual(['role', 'le', 'namespace', 'version'])
})

test('what stands in a string is no metric, and a backslash in it is one', () => {
  expect(selectorsIn('count(a{b=~"c_total{d}\\\\d+ by (e)"} == 0)')).toEqual([
    { metric: 'a', matchers: [{ label: 'b', operator: '=~', value: 'c_total{d}\\d+ by (e)' }] },
  ])
})
