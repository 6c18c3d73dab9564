/**
 * How a command ends: exit codes, and the one kind of failure that is shown to the user as it is.
 */

/** The codes that shells and supervisors expect; 70 is "internal software error" of sysexits.h. */
export const EXIT = { ok: 0, failed: 1, dead: 70, interrupted: 130 } as const

/** A failure that its sentence explains to the user: what was expected, what came, what to try. */
export class CommandFailure extends Error {
  constructor(
    message: string,
    readonly exitCode: number = EXIT.failed,
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.name = 'CommandFailure'
  }
}
