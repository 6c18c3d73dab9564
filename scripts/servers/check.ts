// Starts a private Redis and PostgreSQL, installing them when they are missing, and stops them: whether tests can run here.
// A browser is looked for and installed too; without one, tests that need it are skipped.
import { NO_BROWSER, provideBrowser } from './browser.js'
import { startPostgres, startRedis } from './servers.js'

const servers = await Promise.all([startRedis(), startPostgres()])
for (const { url, pid } of servers)
  console.info(`${new URL(url).protocol.slice(0, -1)} answers (process ${pid ?? 'elsewhere'})`)
await Promise.all(servers.map((server) => server.stop()))

const browser = await provideBrowser().catch((error: unknown) => console.warn(String(error)))
console.info(browser === undefined ? NO_BROWSER : `browser: ${browser}`)
