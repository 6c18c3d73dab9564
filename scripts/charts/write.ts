// Writes the files that are made from others; a test fails when one differs.
import { writeFileSync } from 'node:fs'
import { generatedFiles } from './generated.js'

for (const { path, text } of generatedFiles()) writeFileSync(new URL(`../../${path}`, import.meta.url), text)
