/** How the HTTP surface answers: nothing is guessed by a browser, kept by a cache or shown in a frame of somebody else. */
import type { ServerResponse } from 'node:http'

export const mime = { json: 'application/json; charset=utf-8', text: 'text/plain; charset=utf-8' } as const

/** Also of pages that only programs read: what a browser is led to is no page that it may run. */
export const guards = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'", 'referrer-policy': 'no-referrer', 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY',
  'cross-origin-opener-policy': 'same-origin', 'cross-origin-resource-policy': 'same-origin'
} as const

export function send (response: ServerResponse, code: number, type: string, body: string | Buffer, headers: Readonly<Record<string, string>> = {}): void {
  if (response.headersSent || response.destroyed) return
  response.writeHead(code, { ...guards, 'content-type': type, 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store', ...headers })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

export const refuse = (response: ServerResponse, code: number, why: string, headers?: Readonly<Record<string, string>>): void => { send(response, code, mime.text, `${why}\n`, headers) }

export const sendJson = (response: ServerResponse, json: string): void => { send(response, 200, mime.json, `${json}\n`) }
