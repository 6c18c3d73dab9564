// The image's HEALTHCHECK: asks the daemon in this container whether it can do its work. Exits 0 when it can, else 1 with
// one sentence for `docker inspect`. Plain Node.js without imports of ours: it starts every ten seconds in every container.
import { get } from 'node:http'
import { get as getByTls } from 'node:https'

/** Below the timeout of the HEALTHCHECK, so that the sentence is printed before the container runtime loses patience. */
const TIMEOUT_MS = 5_000

const { METRICS_ENABLED, METRICS_TLS, METRICS_PORT = '9090' } = process.env

function end(code, sentence) {
  console.log(sentence)
  process.exit(code)
}

if (/^(false|0|no|off)$/i.test(METRICS_ENABLED ?? '')) end(0, 'METRICS_ENABLED is off, so nothing can be asked')

const hasTls = /^(true|1|yes|on)$/i.test(METRICS_TLS ?? '')
const url = `${hasTls ? 'https' : 'http'}://127.0.0.1:${METRICS_PORT || '9090'}/ready`
// Nothing is told to whoever answers in this container, and its certificate is for another name.
const options = { timeout: TIMEOUT_MS, rejectUnauthorized: false }
const ask = hasTls ? getByTls : get
ask(url, options, (response) => {
  response.setEncoding('utf8')
  let body = ''
  response.on('data', (chunk) => {
    body += chunk
  })
  response.on('end', () => end(response.statusCode === 200 ? 0 : 1, body))
})
  .on('timeout', () => end(1, `${url} did not answer within ${TIMEOUT_MS} ms`))
  .on('error', (error) => end(1, `${url}: ${error.message}`))
