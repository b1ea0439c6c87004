/** Where the debug pages are served: mounted beside other pages, or by a server of their own. Who reads them has the role of his certificate, or that of plain loopback. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { AgentTargets } from '../agent-target.js'
import { lookingServer, type Mounted } from '../http-surface.js'
import type { Refusals } from '../refusals.js'
import { callerOf, type Role } from '../roles.js'
import type { TlsSettings } from '../tls-files.js'
import { causeOf } from '../../lib/cause-of.js'
import { parseTemplate } from './external.js'
import { BASE } from './html.js'
import { debugPages } from './pages.js'

export interface DebugSurface extends Mounted {
  /** Of its own; not listening yet. */
  readonly server: () => Server
  readonly close: () => void
}

export interface DebugSurfaceOptions {
  readonly targets: AgentTargets
  /** `[TABLE/]NAME=URL` each. */
  readonly links: readonly string[]
  readonly tls: TlsSettings | null
  readonly plainRole: Role
  readonly refusals: Refusals
  readonly limitMs?: number
}

/** @throws invalid LS_G_LINK */
export function createDebugSurface ({ targets, links, tls, plainRole, refusals, ...limit }: DebugSurfaceOptions): DebugSurface {
  const pages = debugPages({ targets, templates: links.map(parseTemplate), ...limit })
  const roleOf = (request: IncomingMessage): Role => tls === null ? plainRole : callerOf((request.socket as TLSSocket).getPeerCertificate())?.role ?? 'viewer'
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    pages.answer(request, response, roleOf(request)).catch((error: unknown) => {
      if (response.headersSent) response.destroy()
      else response.writeHead(500, { 'content-type': 'text/plain; charset=utf-8' }).end(`the page failed: ${causeOf(error)}\n`)
    })
  }
  return {
    owns: pages.owns, answer, close: pages.close,
    server: () => lookingServer(tls, refusals, (request, response) => {
      const [path = '/'] = (request.url ?? '/').split('?')
      if (pages.owns(path)) answer(request, response)
      else response.writeHead(path === '/' ? 302 : 404, { ...(path === '/' ? { location: BASE } : {}), 'content-type': 'text/plain; charset=utf-8' }).end(`the debug pages are at ${BASE}\n`)
    })
  }
}
