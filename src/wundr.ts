#!/usr/bin/env node
/**
 * The binary `wundr`: as much of it as belongs to this package.
 */
import { runWundr } from './cli/wundr.js'

await runWundr(process.argv)
