/**
 * The audit log: who did what that somebody may ask about later.
 */
import type { Database } from './database.js'
import { storableText } from './text.js'

export interface AuditEntry {
  readonly tenant: string
  /** The subject of a credential, or the part of the service that acted. */
  readonly actor: string
  /** Such as `tool.denied`. */
  readonly action: string
  readonly sessionId: string | undefined
  readonly subject: string
  readonly detail: Readonly<Record<string, unknown>>
}

export class AuditLog {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async add({ tenant, actor, action, sessionId, subject, detail }: AuditEntry): Promise<void> {
    await this.#database.sql
      .insertInto('audit_log')
      .values({
        ...{ tenant, actor: storableText(actor), action, session_id: sessionId ?? null },
        ...{ subject: storableText(subject), detail: JSON.stringify(detail) },
      })
      .execute()
  }
}
