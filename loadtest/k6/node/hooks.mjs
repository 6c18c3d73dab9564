/**
 * Leads imports of `k6/…` to this folder, for Node: see `main.mjs`.
 */
const MODULES = new Map(
  ['execution', 'metrics', 'websockets'].map((name) => [`k6/${name}`, new URL(`./${name}.mjs`, import.meta.url).href]),
)

export function resolve(specifier, context, next) {
  const url = MODULES.get(specifier)
  return url === undefined ? next(specifier, context) : { url, shortCircuit: true }
}
