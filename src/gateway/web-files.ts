/**
 * The web page as files in memory, read while the process may still read them. A browser runs what this gateway serves and nothing else: no inline scripts or styles,
 * no other site, no frame. Names of assets have a hash of what is in them, so they are kept for ever; the page itself is asked for each time.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { guards, send } from './http-answer.js'

const built = fileURLToPath(new URL('../web/page/', import.meta.url))
const types: Readonly<Record<string, string>> = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml' }

const policy = ["default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'"].join('; ')

export interface WebFile { readonly body: Buffer, readonly headers: Readonly<Record<string, string>>, readonly type: string }

/** By path; empty when the page was not built. */
export function readWebFiles (directory = built): ReadonlyMap<string, WebFile> {
  let names: string[]
  try { names = readdirSync(directory, { recursive: true, encoding: 'utf8' }) } catch { return new Map() }
  return new Map(names.filter(name => extname(name) in types).map((name) => {
    const body = readFileSync(join(directory, name))
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
    const cache = name.startsWith('assets/') ? 'public, max-age=31536000, immutable' : 'no-cache'
    return [name === 'index.html' ? '/' : `/${name}`, { body, type: types[extname(name)] ?? '', headers: { ...guards, 'content-security-policy': policy, 'permissions-policy': 'camera=(), geolocation=(), microphone=()', 'cache-control': cache, etag } }]
  }))
}

export function sendFile (request: IncomingMessage, response: ServerResponse, { body, headers, type }: WebFile): void {
  if (request.headers['if-none-match'] !== headers['etag']) send(response, 200, type, body, headers)
  else {
    response.writeHead(304, headers)
    response.end()
  }
}
