/**
 * The one thing that a browser may ask to be changed: who owns groups of a pair. It has to come from a page of this gateway (a form or script of another site, which the
 * browser would send with the operator's certificate, cannot set these headers), from a caller whose role may, and at a bounded pace when it is refused.
 */
import type { IncomingMessage } from 'node:http'
import { Metadata } from '@grpc/grpc-js'
import type { ClusterClient, ClusterSwitchoverResponse } from '../generated/proto/lockstep/v1/cluster.js'
import { ask } from './agent-calls.js'
import type { Caller } from './roles.js'

export const SWITCHOVER = '/lockstep.v1.Cluster/Switchover'
/** Any value; scripts of other sites may not send it without being asked for, and they are not. */
export const OWN_HEADER = 'x-lockstep-request'
export const BODY_MAX = 64 << 10
const BODY_MS = 5000
/** A planned move waits for proof. */
export const MOVE_MS = 90_000
const GROUPS_MAX = 16

/** What stands against taking the request for one of our page; `null`: nothing. */
export function foreign ({ headers }: IncomingMessage, secure: boolean): string | null {
  const own = `${secure ? 'https' : 'http'}://${headers.host ?? ''}`
  if (headers.origin !== own) return `Origin: found ${headers.origin ?? 'none'}, expected ${own}`
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin') return `Sec-Fetch-Site: found ${String(site)}, expected same-origin`
  if (!/^application\/json(;|$)/.test(headers['content-type'] ?? '')) return 'Content-Type: expected application/json'
  return headers[OWN_HEADER] === undefined ? `${OWN_HEADER}: expected, found none` : null
}

/** `null`: it is longer than BODY_MAX, or does not come. */
export async function readBody (request: IncomingMessage): Promise<string | null> {
  if (Number(request.headers['content-length'] ?? 0) > BODY_MAX) return null
  const parts: Buffer[] = []
  let bytes = 0
  const timer = setTimeout(() => { request.destroy() }, BODY_MS)
  try {
    for await (const part of request as AsyncIterable<Buffer>) {
      bytes += part.length
      if (bytes > BODY_MAX) return null
      parts.push(part)
    }
    return Buffer.concat(parts).toString('utf8')
  } catch {
    return null
  } finally { clearTimeout(timer) }
}

export interface Wanted { readonly agent: string, readonly rgs: readonly number[], readonly to: string }

/** What is wrong with it as text. */
export function wantedOf (body: string): Wanted | string {
  let value: unknown
  try { value = JSON.parse(body) } catch { return 'the body is not JSON' }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'the body is not an object'
  const { agent, rgs, to, ...rest } = value as Readonly<Record<string, unknown>>
  const [unknown] = Object.keys(rest)
  if (unknown !== undefined) return `no such field: ${unknown.slice(0, 64)}; there are agent, rgs, to`
  if (typeof agent !== 'string' || typeof to !== 'string') return 'agent and to are names'
  if (!Array.isArray(rgs) || rgs.length === 0 || rgs.length > GROUPS_MAX || !rgs.every(rg => Number.isInteger(rg) && (rg as number) >= 0 && (rg as number) < GROUPS_MAX)) return `rgs: expected 1 to ${GROUPS_MAX} numbers of groups`
  return { agent, rgs: rgs as number[], to }
}

/** The agent learns who asked: its journal names them. @throws ServiceError */
export async function switchover (cluster: ClusterClient, { rgs, to }: Wanted, caller: Caller): Promise<ClusterSwitchoverResponse> {
  const metadata = new Metadata()
  if (caller.name !== null) metadata.set('lockstep-caller', caller.name.replaceAll(/[^\x20-\x7e]/g, '?'))
  return await ask(cluster, cluster.switchover, { rgs: [...rgs], all: false, to }, { metadata, deadlineMs: MOVE_MS })
}
