#!/usr/bin/env node
/**
 * The binary: hands the command line to the cli.
 */
import { runCli } from './cli/cli.js'

await runCli(process.argv)
