/**
 * The level of a log, which an operator may change while the process runs.
 */
import { LOG_LEVELS, type LogLevel } from '../config/schema.js'

export class LogLevelSwitch {
  #configured: LogLevel
  #current: LogLevel

  constructor(configured: LogLevel) {
    this.#configured = configured
    this.#current = configured
  }

  get current(): LogLevel {
    return this.#current
  }

  /** From now on this one is configured, and counts. */
  configure(level: LogLevel): void {
    this.#configured = level
    this.#current = level
  }

  set(level: LogLevel): void {
    this.#current = level
  }

  /** Back to what is configured. */
  reset(): void {
    this.#current = this.#configured
  }

  /** Whether a line of this level is written now. */
  allows(level: LogLevel): boolean {
    return LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(this.#current)
  }
}

export const isLogLevel = (value: unknown): value is LogLevel => LOG_LEVELS.some((level) => level === value)
