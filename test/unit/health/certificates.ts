/** Certificates that openssl makes for a test. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

export interface Certificate { readonly key: string, readonly cert: string }

/** Self-signed, of one name; negative days: it has expired. */
export function selfSigned (directory: string, { name, days }: { readonly name: string, readonly days: number }): Certificate {
  const [key, cert, request] = ['key', 'pem', 'csr'].map(end => join(directory, `${name}.${end}`)) as [string, string, string]
  execFileSync('openssl', ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', request, '-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`], { stdio: 'ignore' })
  execFileSync('openssl', ['x509', '-req', '-in', request, '-signkey', key, '-out', cert, '-copy_extensions', 'copy', '-days', String(days)], { stdio: 'ignore' })
  return { key, cert }
}
