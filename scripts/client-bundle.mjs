// Bundles the client for browsers into one file, dist/client/client.browser.js: what bundlers and pages are given.
import { build } from 'esbuild'

/** Asked for in Node.js only; in a browser the client takes the platform's own. */
const noWs = {
  name: 'no-ws',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^ws$/ }, () => ({ path: 'ws', namespace: 'no-ws' }))
    onLoad({ filter: /.*/, namespace: 'no-ws' }, () => ({ contents: 'export default globalThis.WebSocket' }))
  },
}

await build({
  entryPoints: ['dist/client/client.js'],
  outfile: 'dist/client/client.browser.js',
  bundle: true,
  minify: true,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  plugins: [noWs],
  legalComments: 'none',
  logLevel: 'warning',
})
