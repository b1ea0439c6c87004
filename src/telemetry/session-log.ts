/** Lines of the log about sessions: policies that ask for one when a flow begins, and when a session ends. */
import type { Logger } from 'pino'
import type { Authority } from '../config/index.js'
import type { SessionChange } from '../contract/session.js'
import { drop } from '../generated/codes.js'
import { layout } from '../generated/layout.js'
import { addressOfBytes, formatAddress } from '../lib/address.js'

/** Policy decisions that asked to be logged, one line each. */
export function logPolicies (log: Logger, rows: Uint8Array, { names }: Pick<Authority, 'names'>): void {
  const shape = layout.ls_log
  const key = layout.ls_key
  const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength)
  for (let base = 0; base + shape.size <= rows.length; base += shape.size) {
    const k = base + shape.key.offset
    const reason = view.getUint8(base + shape.drop.offset)
    log.info({
      action: (['deny', 'permit', 'reject'] as const)[view.getUint8(base + shape.action.offset)] ?? 'deny',
      policy: names.name('policy', view.getUint16(base + shape.policy.offset, true)),
      from: names.name('zone', view.getUint16(base + shape.zone_in.offset, true)), to: names.name('zone', view.getUint16(base + shape.zone_out.offset, true)),
      source: formatAddress(addressOfBytes(rows, k + key.src.offset)), sourcePort: view.getUint16(k + key.sport_be.offset, false),
      destination: formatAddress(addressOfBytes(rows, k + key.dst.offset)), destinationPort: view.getUint16(k + key.dport_be.offset, false),
      protocol: view.getUint8(k + key.proto.offset), ...(reason === 0 ? {} : { reason: drop[reason]?.name })
    }, 'policy')
  }
}

/** Ended sessions of policies with `log: close`. */
export function logClosed (log: Logger, changes: readonly SessionChange[], lost: number, { names }: Pick<Authority, 'names'>): void {
  if (lost > 0) log.warn({ lost }, 'sessions closed without a line: more ended than can be logged')
  for (const { session: s, closeReason } of changes) {
    log.info({
      policy: names.name('policy', s.policy), reason: closeReason, source: s.source, sourcePort: s.sourcePort, destination: s.destination, destinationPort: s.destinationPort,
      protocol: s.protocol, seconds: Math.round(s.ageMs / 1000), packets: [Number(s.packetsForward), Number(s.packetsReply)], bytes: [Number(s.bytesForward), Number(s.bytesReply)]
    }, 'session closed')
  }
}
