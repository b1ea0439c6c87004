/** Certificates for one test run, made with the openssl command line tool in a directory of the test. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Pair { readonly cert: string, readonly key: string }

export interface Authority {
  readonly ca: string
  /** `names`: of the certificate, as openssl writes them; negative `days`: it has expired. */
  readonly issue: (name: string, subject: string, more?: { readonly names?: string, readonly days?: number }) => Pair
}

export const hasOpenssl = (): boolean => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

export function createAuthority (directory: string, name = 'ca'): Authority {
  const at = (file: string): string => join(directory, file)
  const run = (...args: string[]): void => { execFileSync('openssl', args, { stdio: 'pipe' }) }
  run('req', '-x509', ...curve, '-keyout', at(`${name}.key`), '-out', at(`${name}.crt`), '-days', '2', '-subj', `/CN=${name}`)
  return {
    ca: at(`${name}.crt`),
    issue: (who, subject, { names = 'IP:127.0.0.1,DNS:localhost', days = 2 } = {}) => {
      run('req', ...curve, '-keyout', at(`${who}.key`), '-out', at(`${who}.csr`), '-subj', subject)
      writeFileSync(at(`${who}.ext`), `subjectAltName=${names}\n`)
      run('x509', '-req', '-in', at(`${who}.csr`), '-CA', at(`${name}.crt`), '-CAkey', at(`${name}.key`), '-CAcreateserial', '-out', at(`${who}.crt`), '-days', String(days), '-extfile', at(`${who}.ext`))
      return { cert: at(`${who}.crt`), key: at(`${who}.key`) }
    }
  }
}

export const read = (path: string): Buffer => readFileSync(path)
