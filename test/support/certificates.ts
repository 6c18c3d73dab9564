/**
 * Certificates of an authority that nobody knows but the tests, made by openssl.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Authority {
  /** Of the authority, for whoever is to trust it: as a file, and as its content. */
  readonly caFile: string
  readonly ca: string
  /** Makes a certificate, default for this machine, and writes it over the one before. Returns the files. */
  issue(commonName: string, names?: string): { readonly certFile: string; readonly keyFile: string }
  remove(): void
}

const CURVE = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']

export function testAuthority(): Authority {
  const folder = mkdtempSync(join(tmpdir(), 'authority-'))
  const file = (name: string): string => join(folder, name)
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'pipe' })
  openssl('req', '-x509', ...CURVE, '-keyout', file('ca.key'), '-out', file('ca.pem'), '-subj', '/CN=tests')
  return {
    caFile: file('ca.pem'),
    ca: readFileSync(file('ca.pem'), 'utf8'),
    issue: (commonName, names = 'DNS:localhost,IP:127.0.0.1') => {
      const extensions = ['-addext', `subjectAltName=${names}`, '-addext', 'basicConstraints=CA:FALSE']
      const signer = ['-CA', file('ca.pem'), '-CAkey', file('ca.key')]
      openssl(
        'req',
        '-x509',
        ...CURVE,
        ...signer,
        ...extensions,
        '-subj',
        `/CN=${commonName}`,
        '-keyout',
        file('key.pem'),
        '-out',
        file('cert.pem'),
      )
      return { certFile: file('cert.pem'), keyFile: file('key.pem') }
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}
