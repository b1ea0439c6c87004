/** Established TCP connections with one port at either end, of one network namespace. The layout is struct ls_tcp_row of native/mirror/api.h. */
import { addressText } from '../lib/address-text.js'
import { fromNative } from './errors.js'
import { loadCore } from './load.js'

export interface TcpRow {
  /** Canonical text; IPv4 also of an IPv6 socket. */
  readonly local: string
  readonly remote: string
  readonly localPort: number
  readonly remotePort: number
  /** No other socket of this host has it. */
  readonly cookie: bigint
  /** Smoothed, whole microseconds; 0: not known. */
  readonly rttUs: number
  /** That the socket is bound to; '' = none. */
  readonly device: string
}

const ROW = { size: 64, local: 0, remote: 16, cookie: 32, rttUs: 40, localPort: 44, remotePort: 46, device: 48, deviceBytes: 16 } as const

/** `netns`: a path; empty = this process's. @throws LS_E_FULL, LS_E_PERMISSION, LS_E_SYSTEM (also: no such namespace) */
export async function tcpEstablished (netns: string, port: number): Promise<readonly TcpRow[]> {
  const rows = await loadCore().tcpEstablished(netns, port).catch((error: unknown) => { throw fromNative(error, { object: netns === '' ? 'this network namespace' : netns }) })
  return tcpRows(rows)
}

export function tcpRows (bytes: Uint8Array): TcpRow[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const text = (at: number): string => {
    const end = bytes.indexOf(0, at)
    return Buffer.from(bytes.subarray(at, Math.min(end === -1 ? at + ROW.deviceBytes : end, at + ROW.deviceBytes))).toString('utf8')
  }
  return Array.from({ length: bytes.byteLength / ROW.size }, (_, i) => {
    const at = i * ROW.size
    return {
      local: addressText(bytes, at + ROW.local), remote: addressText(bytes, at + ROW.remote), cookie: view.getBigUint64(at + ROW.cookie, true), rttUs: view.getUint32(at + ROW.rttUs, true),
      localPort: view.getUint16(at + ROW.localPort, true), remotePort: view.getUint16(at + ROW.remotePort, true), device: text(at + ROW.device)
    }
  })
}
