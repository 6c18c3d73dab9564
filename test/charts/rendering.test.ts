/**
 * What helm and kustomize make of the files is what Kubernetes takes, and holds together, whichever values are given.
 */
import { describe, expect, test, vi } from 'vitest'
import { faultsBySchema } from '../../scripts/charts/validate.js'
import {
  chartObjects,
  HELMS,
  kustomizeObjects,
  needHelm,
  needKubectl,
  needSchemas,
  VALUE_SETS,
  valuesFile,
} from '../support/charts.js'
import { outputOf, runTool } from '../support/deployment-files.js'
import { daemonsOf, faultsOf } from '../support/manifest-faults.js'

/** A tool or the compiler takes a second each on an idle machine. */
vi.setConfig({ testTimeout: 120_000 })

const OVERLAYS = ['base', 'overlays/kind', 'overlays/production'].map((name) => `k8s/${name}`)

describe.each(HELMS)('with %s', (helm) => {
  test.for(VALUE_SETS)('the chart passes the strict lint with the values %s', (set, context) => {
    needHelm(context, helm)

    outputOf(runTool(helm, ['lint', '--strict', 'helm', ...valuesFile(set)]))
  })

  test('each set of values gives objects that Kubernetes takes, without a field that it does not know', async (context) => {
    needHelm(context, helm)
    const schemas = needSchemas(context)

    // One compiler for all: it takes longer to start than to check.
    const faults = await faultsBySchema(
      VALUE_SETS.flatMap((set) =>
        chartObjects(valuesFile(set), helm).map((object) => ({
          ...object,
          metadata: { ...object.metadata, namespace: set },
        })),
      ),
      schemas,
    )

    expect(faults).toEqual([])
  })

  test.for(VALUE_SETS)('the objects of the values %s hold together', (set, context) => {
    needHelm(context, helm)

    const objects = chartObjects(valuesFile(set), helm)

    expect(daemonsOf(objects)).toHaveLength(3)
    expect(faultsOf(objects)).toEqual([])
  })
})

test('kustomize gives objects that Kubernetes takes, without a field that it does not know', async (context) => {
  needKubectl(context)
  const schemas = needSchemas(context)
  const objects = OVERLAYS.flatMap((folder) =>
    kustomizeObjects(folder).map((object) => ({
      ...object,
      metadata: { ...object.metadata, namespace: folder.replaceAll('/', '-') },
    })),
  )

  expect(await faultsBySchema(objects, schemas)).toEqual([])
})

test.for(OVERLAYS)('the objects of %s hold together', (folder, context) => {
  needKubectl(context)

  const objects = kustomizeObjects(folder)

  expect(daemonsOf(objects)).toHaveLength(3)
  expect(faultsOf(objects)).toEqual([])
})

test('the judge by schemas finds slips, wrong types, unknown kinds and objects that are there twice', async (context) => {
  const schemas = needSchemas(context)
  const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' }, spec: { ports: [{ port: 80 }] } }
  const slip = { ...service, metadata: { name: 'b' }, spec: { ports: [{ port: 80, targetport: 80 }] } }
  const type = { ...service, metadata: { name: 'c' }, spec: { ports: [{ port: 'eighty' }] } }
  const scaled = { apiVersion: 'keda.sh/v1alpha1', kind: 'ScaledObject', metadata: { name: 'd' }, spec: {} }
  const unknown = { apiVersion: 'apps/v3', kind: 'Deployment', metadata: { name: 'e' } }

  const faults = await faultsBySchema([service, service, slip, type, scaled, unknown], schemas)

  expect(faults).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^v1 {2}Service a is there twice$/),
      expect.stringMatching(/^Service b: .*targetport/),
      expect.stringMatching(/^Service c: .*(integer|number)/),
      expect.stringMatching(/^ScaledObject d: .*(scaleTargetRef|triggers)/),
      'Deployment e: apps/v3 has no such kind',
    ]),
  )
})
