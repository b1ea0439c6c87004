/** `--server edge-1=unix:/run/lockstep/agent.sock,edge-2=10.0.0.2:50461`: agents by name, as text and as what grpc-js connects to. */
import { isIP } from 'node:net'
import { credentials } from '@grpc/grpc-js'
import { LockstepError } from '../contract/errors.js'
import type { AgentTarget, AgentTargets } from './agent-target.js'
import type { TlsSettings } from './tls-files.js'

export const SERVERS_MAX = 64
/** As in a URL, a label and a table: nothing to escape. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/
const hostPattern = /^[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9]([A-Za-z0-9-]{0,62}))*$/

export type Server =
  | { readonly name: string, readonly path: string }
  /** The gRPC of another gateway. */
  | { readonly name: string, readonly host: string, readonly port: number, readonly loopback: boolean }

/** @throws invalid, naming the part that is wrong */
export function parseServers (texts: readonly string[]): readonly Server[] {
  const servers = texts.flatMap(text => text.split(',')).map(parseServer)
  const twice = servers.find((server, i) => servers.findIndex(({ name }) => name === server.name) !== i)
  if (twice !== undefined) throw refused('a name stands for one agent', twice.name, 'each name once')
  if (servers.length > SERVERS_MAX) throw refused('too many agents for one gateway', String(servers.length), `at most ${SERVERS_MAX}`)
  return servers
}

function parseServer (text: string): Server {
  const [, name = '', address = ''] = /^([^=]*)=(.*)$/s.exec(text) ?? []
  if (address === '') throw refused('not an agent', text, 'NAME=unix:/PATH or NAME=HOST:PORT')
  if (!namePattern.test(name)) throw refused('not a name for an agent', name, 'a letter or digit, then at most 62 letters, digits, - _ or .')
  if (address.startsWith('unix:')) {
    const path = address.slice('unix:'.length)
    if (!path.startsWith('/') || path.includes('\0')) throw refused('not the path of a socket', text, 'NAME=unix:/PATH, absolute')
    return { name, path }
  }
  const [, six, four, digits = ''] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(address) ?? []
  const host = six ?? four ?? ''
  const port = Number(digits)
  const good = six === undefined ? isIP(host) === 4 || hostPattern.test(host) : isIP(host) === 6
  if (!good || port < 1 || port > 65_535) throw refused('not the address of an agent', text, 'NAME=unix:/PATH, NAME=HOST:PORT or NAME=[ADDRESS]:PORT')
  return { name, host, port, loopback: host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.')) }
}

/** Over TCP with the certificate of the gateway, if there is one. @throws invalid for a plain address beyond loopback */
export function targetsOf (servers: readonly Server[], tls: TlsSettings | null): AgentTargets {
  return new Map(servers.map((server): [string, AgentTarget] => {
    if ('path' in server) return [server.name, { address: `unix:${server.path}` }]
    const { name, host, port, loopback } = server
    const address = host.includes(':') ? `ipv6:[${host}]:${port}` : isIP(host) === 4 ? `ipv4:${host}:${port}` : `dns:${host}:${port}`
    if (tls !== null) return [name, { address, credentials: credentials.createSsl(tls.ca, tls.key, tls.cert) }]
    if (!loopback) throw new LockstepError('invalid', 'LS_G_TLS', 'an agent beyond this host is reached with mutual TLS only', { object: `--server ${name}`, found: `${host}:${port}`, expected: 'unix:/PATH, a loopback address, or mutual TLS', next: 'give --tls-cert, --tls-key and --tls-ca' })
    return [name, { address }]
  }))
}

const refused = (what: string, found: string, expected: string): LockstepError => new LockstepError('invalid', 'LS_G_SERVER', what, { object: '--server', found, expected })
