/**
 * How the dashboard is built (`npm run build`, into dist/ui) and developed (`npm run dev:ui`, against a running daemon).
 */
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

/** The daemon that the development server stands in front of. */
const DAEMON = process.env.DASHBOARD_DAEMON ?? 'http://127.0.0.1:8787'

export default defineConfig(({ command }) => {
  // Whoever builds it, it is for people: with another NODE_ENV, such as that of a test, packages give their larger development halves.
  if (command === 'build') process.env.NODE_ENV = 'production'
  return {
    root: fileURLToPath(new URL('.', import.meta.url)),
    // Relative, so that it works behind a proxy that puts the service under a path.
    base: './',
    publicDir: false,
    cacheDir: '../node_modules/.vite/ui',
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    // The client asks for it in Node.js only; in a browser it is given the platform's own.
    resolve: { alias: { ws: fileURLToPath(new URL('./no-ws.ts', import.meta.url)) } },
    build: {
      outDir: '../dist/ui',
      emptyOutDir: true,
      target: 'es2022',
      // The policy of the page allows neither inline data nor inline scripts.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
    },
    server: { port: 5173, proxy: { '/api': DAEMON, '/ws': { target: DAEMON, ws: true } } },
  }
})
