/**
 * Reads one file out of a zip archive: machines without `unzip` have Node.js all the same.
 */
import { inflateRawSync } from 'node:zlib'

const END_OF_DIRECTORY = 0x06054b50
const ENTRY = 0x02014b50
const STORED = 0
/** Of the record at the end, without its comment. */
const END_BYTES = 22
const ENTRY_BYTES = 46
const LOCAL_HEADER_BYTES = 30

/** @throws one sentence when the archive has no such file, or is none. */
export function fileInZip(zip: Buffer, name: string): Buffer {
  const end = endOfDirectory(zip)
  const count = zip.readUInt16LE(end + 10)
  let at = zip.readUInt32LE(end + 16)
  for (let entry = 0; entry < count && zip.readUInt32LE(at) === ENTRY; entry++) {
    const nameBytes = zip.readUInt16LE(at + 28)
    if (zip.toString('utf8', at + ENTRY_BYTES, at + ENTRY_BYTES + nameBytes) === name) return contentOf(zip, at)
    at += ENTRY_BYTES + nameBytes + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32)
  }
  throw new Error(`the archive has no file ${name}`)
}

function endOfDirectory(zip: Buffer): number {
  for (let at = zip.length - END_BYTES; at >= 0; at--) if (zip.readUInt32LE(at) === END_OF_DIRECTORY) return at
  throw new Error('this is no zip archive')
}

function contentOf(zip: Buffer, entry: number): Buffer {
  const method = zip.readUInt16LE(entry + 10)
  const bytes = zip.readUInt32LE(entry + 20)
  const header = zip.readUInt32LE(entry + 42)
  const from = header + LOCAL_HEADER_BYTES + zip.readUInt16LE(header + 26) + zip.readUInt16LE(header + 28)
  const packed = zip.subarray(from, from + bytes)
  return method === STORED ? packed : inflateRawSync(packed)
}
