/** Routes in a routing table of the kernel that routing daemons read. The layout is struct ls_own_route of native/mirror/api.h. */
import { LockstepError } from '../contract/errors.js'
import { addressBytes, mappedLength, networkOf, parsePrefix } from '../lib/address.js'
import { fromNative } from './errors.js'
import { loadCore } from './load.js'

const ROW = { size: 24, prefix: 16 } as const

/** Makes `table` have routes to these prefixes, and no others that came this way. `netns`: a path; empty = this process's. @throws LS_E_INVALID, LS_E_PERMISSION, LS_E_SYSTEM */
export async function putRoutes (netns: string, table: number, prefixes: readonly string[]): Promise<{ readonly added: number, readonly removed: number }> {
  return await loadCore().ownRoutes(netns, table, packRoutes(prefixes)).catch((error: unknown) => { throw fromNative(error, { object: `routing table ${table}${netns === '' ? '' : ` of ${netns}`}` }) })
}

function packRoutes (prefixes: readonly string[]): Uint8Array {
  const rows = Buffer.alloc(prefixes.length * ROW.size)
  for (const [i, text] of prefixes.entries()) {
    const prefix = parsePrefix(text)
    if (prefix === null) throw new LockstepError('invalid', 'LS_E_INVALID', 'not a prefix', { object: 'route', found: text.slice(0, 64) })
    rows.set(addressBytes(networkOf(prefix)), i * ROW.size)
    rows.writeUInt32LE(mappedLength(prefix), i * ROW.size + ROW.prefix)
  }
  return rows
}
