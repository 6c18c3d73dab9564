/**
 * file_read and file_write: one file of the workspace, in and out.
 */
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'
import { defineTool, type Tool, ToolFailure } from './tool.js'
import { locate } from './workspace-path.js'

/** About 64k tokens: more would crowd everything else out of a model's context. */
const MAX_READ_BYTES = 256 * 1024
/** Larger files come from programs, not from a model's answer; bash_execute can write those. */
const MAX_WRITE_BYTES = 5 * 1024 * 1024
const MAX_PATH_CHARS = 4096

export const pathSchema = z.string().min(1).max(MAX_PATH_CHARS)
const encodingSchema = z.enum(['utf8', 'base64', 'latin1', 'hex']).default('utf8')

// O_NONBLOCK: opening a named pipe must not wait for its other end.
const SAFE = constants.O_NOFOLLOW | constants.O_NONBLOCK

export const fileRead: Tool = defineTool({
  name: 'file_read',
  description: `Reads a file of the workspace. At most ${MAX_READ_BYTES} bytes are returned.`,
  input: z.object({ path: pathSchema.describe('relative to the workspace'), encoding: encodingSchema }),
  shared: 'workspace',
  effect: () => 'read',
  async run({ path, encoding }, { workspace }) {
    const place = await locate(workspace, path)
    const file = await open(place.absolute, constants.O_RDONLY | SAFE)
    try {
      const size = await sizeOf(file)
      const bytes = await readStart(file, Math.min(size, MAX_READ_BYTES))
      const note = `only the first ${bytes.length} of ${size} bytes; read the rest with bash_execute (tail -c, sed -n)`
      return {
        path: place.shown,
        content: bytes.toString(encoding),
        size,
        encoding,
        ...(bytes.length < size && { truncated: true, note }),
      }
    } finally {
      await file.close()
    }
  },
})

export const fileWrite: Tool = defineTool({
  name: 'file_write',
  description: 'Writes a file of the workspace, replacing what was there.',
  input: z.object({
    path: pathSchema.describe('relative to the workspace'),
    content: z.string(),
    encoding: encodingSchema,
    createDirectories: z.boolean().default(true),
  }),
  shared: 'workspace',
  effect: () => 'idempotent',
  async run({ path, content, encoding, createDirectories }, { workspace }) {
    const bytes = Buffer.from(content, encoding)
    if (bytes.length > MAX_WRITE_BYTES) {
      throw new ToolFailure(`The content has ${bytes.length} bytes; at most ${MAX_WRITE_BYTES} can be written at once`)
    }
    const place = await locate(workspace, path)
    if (createDirectories) await mkdir(dirname(place.absolute), { recursive: true })
    const file = await open(place.absolute, constants.O_WRONLY | constants.O_CREAT | SAFE, 0o644)
    try {
      await sizeOf(file)
      await file.truncate(0)
      await file.writeFile(bytes)
    } finally {
      await file.close()
    }
    return { path: place.shown, size: bytes.length, encoding }
  },
})

/** The size of a regular file; anything else (a directory, a pipe, a device) is refused before it is touched. */
async function sizeOf(file: FileHandle): Promise<number> {
  const status = await file.stat()
  if (status.isDirectory()) throw new ToolFailure('The path is a directory; use file_list')
  if (!status.isFile()) throw new ToolFailure('The path is not a regular file')
  return status.size
}

async function readStart(file: FileHandle, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return bytes.subarray(0, filled)
}
