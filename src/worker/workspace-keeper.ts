/**
 * Carries the files of sessions between workers: what a tool changed is in Postgres before its result is recorded, and
 * a takeover finds exactly that, at the same path below its own root.
 */
import type { ToolOutcome } from '../runtimes/runtime.js'
import { changedFiles, prepareWorkspace, restoreFiles, type WorkspaceFile } from '../runtimes/workspace.js'
import type { Workspaces } from './session-services.js'

type StoredFile = Pick<WorkspaceFile, 'path' | 'mode' | 'bytes'>

/** The part of storage that holds workspaces. */
export interface WorkspaceStore {
  save(sessionId: string, changed: readonly WorkspaceFile[], deleted: readonly string[]): Promise<void>
  load(sessionId: string): Promise<readonly StoredFile[]>
  hashes(sessionId: string): Promise<ReadonlyMap<string, string>>
}

export class WorkspaceKeeper implements Workspaces {
  constructor(
    private readonly root: string,
    private readonly store: WorkspaceStore,
    /** True when all workers see the same files: then nothing is copied. */
    private readonly shared: boolean,
  ) {}

  async prepare(sessionId: string, restore: boolean): Promise<string> {
    const directory = await prepareWorkspace(this.root, sessionId)
    if (restore && !this.shared) await restoreFiles(directory, await this.store.load(sessionId))
    return directory
  }

  async save(sessionId: string): Promise<ToolOutcome | undefined> {
    if (this.shared) return undefined
    const directory = await prepareWorkspace(this.root, sessionId)
    const changes = await changedFiles(directory, await this.store.hashes(sessionId))
    if (changes.status === 'too_large') return { status: 'failed', error: changes.reason }
    if (changes.changed.length + changes.deleted.length > 0) {
      await this.store.save(sessionId, changes.changed, changes.deleted)
    }
    return undefined
  }
}
