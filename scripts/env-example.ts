// Writes .env.example from the settings table, and the chart's files, which list the settings too; tests fail when one differs.
import { writeFileSync } from 'node:fs'
import { renderEnvExample } from '../src/config/env-example.js'
import './charts/write.js'

writeFileSync(new URL('../.env.example', import.meta.url), renderEnvExample())
