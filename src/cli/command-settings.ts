/**
 * The settings as a command reads them that is no node: it finds stores, logs and daemons by them.
 */
import { type Config, type FlagValue, loadConfig } from '../config/load.js'

/** @throws ConfigError */
export const commandSettings = (flags: Readonly<Record<string, FlagValue>>): Config =>
  loadConfig({ flags, env: process.env, cwd: process.cwd(), isNode: false })
