/**
 * Bare Redis Streams, the worker's side: sends every entry back.
 */
import { sayReady } from './ready.js'
import { ANSWERS, append, COMMANDS, openWriter, readStream } from './streams.js'

const [url = ''] = process.argv.slice(2)
const redis = openWriter(url)

void readStream(url, COMMANDS, (entry) => void append(redis, ANSWERS, entry))
await redis.ping()
sayReady()
