/**
 * The kernel's TCP connections of port 179, namespace by namespace: round trips, and the socket by which another connection shows. A connection is less than a
 * session: it stands while both ends still negotiate, and up to the hold time after its peer died. So the kernel decides only where no daemon is asked.
 */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { BgpNeighbour, BgpReading } from '../../contract/bgp.js'
import { tcpEstablished, type TcpRow } from '../../native/tcp-rows.js'
import { causeOf } from '../../lib/cause-of.js'
import { neighbour, type Provider } from './provider.js'

const BGP_PORT = 179
export const NETNS_DIRECTORY = '/run/netns'

export interface KernelOptions {
  readonly name: string
  /** `null`: the agent's own, and all that have a name. */
  readonly namespaces: readonly string[] | null
  readonly vrf: string | null
  readonly directory?: string
  readonly rows?: (netns: string, port: number) => Promise<readonly TcpRow[]>
}

interface Place { readonly name: string, readonly path: string }
const OWN: Place = { name: 'default', path: '' }

export function kernelProvider ({ name, namespaces, vrf, directory = NETNS_DIRECTORY, rows = tcpEstablished }: KernelOptions): Provider {
  return {
    source: 'kernel', scope: name, follow: null,
    read: async () => {
      const places = namespaces?.map(namespace => namespace === OWN.name ? OWN : { name: namespace, path: join(directory, namespace) }) ?? [OWN, ...named(directory)]
      const readings: BgpReading[] = []
      for (const { name: place, path } of places) {
        const scope = `${name}/${place}`
        const of = { source: 'kernel', scope } as const
        readings.push(await rows(path, BGP_PORT).then(
          (found): BgpReading => ({ ...of, at: Date.now(), ok: true, neighbours: kernelNeighbours(found, place === OWN.name ? vrf ?? place : place) }),
          (error: unknown): BgpReading => ({ ...of, at: Date.now(), ok: false, reason: causeOf(error) })))
      }
      return readings
    }
  }
}

/** Namespaces that have a name, each once, and not the agent's own. @throws what says that nobody can tell which there are */
function named (directory: string): Place[] {
  const seen = new Set([statSync('/proc/self/ns/net').ino])
  let names: string[]
  try {
    names = readdirSync(directory)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
  return names.sort().flatMap((name) => {
    const path = join(directory, name)
    const inode = statSync(path, { throwIfNoEntry: false })?.ino
    if (inode === undefined || seen.has(inode)) return []
    seen.add(inode)
    return [{ name, path }]
  })
}

/** Of several connections with one peer the oldest stands: a second one is of a collision, and goes. */
export function kernelNeighbours (rows: readonly TcpRow[], place: string): BgpNeighbour[] {
  const found = new Map<string, BgpNeighbour>()
  for (const { local, remote, cookie, rttUs, device } of rows) {
    const vrf = device === '' ? place : device
    const key = `${vrf}\n${remote}\n${local}`
    const other = found.get(key)
    if (other?.cookie != null && other.cookie < cookie) continue
    found.set(key, neighbour({ source: 'kernel', vrf, peer: remote, local, established: true, rttNs: rttUs === 0 ? null : rttUs * 1000, cookie }))
  }
  return [...found.values()]
}
