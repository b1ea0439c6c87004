/** Looks at this host: privileges, tools, huge pages. Changes nothing. */
import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { release } from 'node:os'
import { delimiter, join } from 'node:path'

export interface Found {
  /** CAP_NET_RAW and CAP_NET_ADMIN. */
  readonly packet: boolean
  readonly tap: boolean
  readonly nft: boolean
  /** The kernel removes an nft table with its owner: Linux 5.12. */
  readonly nftOwner: boolean
  readonly hugepages: boolean
}

const CAP_NET_ADMIN = 12n
const CAP_NET_RAW = 13n

function read (path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** Effective capabilities of this process, capabilities(7). */
function effective (): bigint {
  const line = /^CapEff:\s*([0-9a-f]+)/m.exec(read('/proc/self/status'))
  return line?.[1] === undefined ? 0n : BigInt(`0x${line[1]}`)
}

/** Where tools are looked for and run from: a shell of `su` has no sbin in its PATH. */
export const toolPath = (): string => [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'].filter(d => d !== '').join(delimiter)

function installed (tool: string): boolean {
  return toolPath().split(delimiter).some(dir => {
    try {
      accessSync(join(dir, tool), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** Whether `kernel` (`6.1.0-13-amd64`) is at least major.minor. */
export function kernelAtLeast (kernel: string, major: number, minor: number): boolean {
  const [a = 0, b = 0] = kernel.split('.').map(part => parseInt(part, 10))
  return a > major || (a === major && b >= minor)
}

export function probeHost (): Found {
  const caps = effective()
  const has = (bit: bigint): boolean => (caps >> bit & 1n) === 1n
  const packet = has(CAP_NET_ADMIN) && has(CAP_NET_RAW)
  return {
    packet,
    tap: has(CAP_NET_ADMIN) && existsSync('/dev/net/tun'),
    nft: installed('nft') && installed('nsenter'),
    nftOwner: kernelAtLeast(release(), 5, 12),
    hugepages: Number(read('/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages').trim() || '0') > 0
  }
}

/** Why AF_PACKET ports cannot be had here; '' when they can. */
export function packetPorts (found: Found): string {
  if (!found.packet) return 'needs CAP_NET_RAW and CAP_NET_ADMIN'
  if (!found.nft) return 'nft is not installed: the ingress chain that keeps the host stack out cannot be made'
  return found.nftOwner ? '' : 'needs Linux 5.12: nft tables that go with their owner, so that a dead agent leaves no interface closed'
}
