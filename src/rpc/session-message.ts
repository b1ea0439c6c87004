/** SessionRow and SessionChange -> messages, names resolved. For rows that a person or a filter asked for, one at a time. */
import type { NameBook } from '../contract/services.js'
import type { SessionChange, SessionRow } from '../contract/session.js'
import { notice } from '../generated/codes.js'
import { SessionChangeKind, sessionChangeKindToNumber, type Session, type SessionChange as ChangeMessage } from '../generated/proto/lockstep/v1/session.js'

const kinds = {
  create: SessionChangeKind.SESSION_CHANGE_KIND_CREATE,
  update: SessionChangeKind.SESSION_CHANGE_KIND_UPDATE,
  recreate: SessionChangeKind.SESSION_CHANGE_KIND_RECREATE,
  delete: SessionChangeKind.SESSION_CHANGE_KIND_DELETE
} as const satisfies Record<SessionChange['kind'], SessionChangeKind>

/** Numbers of SessionChangeKind by the kind of a notice, as records have it. */
export const changeKinds: readonly number[] = notice.map(({ name }) => sessionChangeKindToNumber(name === 'none' ? kinds.update : kinds[name]))

export function sessionMessage (row: SessionRow, names: NameBook): Session {
  return {
    id: row.id,
    slot: row.slot,
    family: row.family,
    protocol: row.protocol,
    source: row.source,
    sourcePort: row.sourcePort,
    destination: row.destination,
    destinationPort: row.destinationPort,
    replySource: row.replySource,
    replySourcePort: row.replySourcePort,
    replyDestination: row.replyDestination,
    replyDestinationPort: row.replyDestinationPort,
    zoneIn: names.name('zone', row.zoneIn),
    zoneOut: names.name('zone', row.zoneOut),
    policy: names.name('policy', row.policy),
    vip: row.vip === 0 ? '' : names.name('vip', row.vip),
    real: row.real === 0 ? '' : names.name('real', row.real),
    rg: row.rg,
    app: names.name('app', row.app),
    phase: row.phase.toUpperCase(),
    flags: row.flags.map((flag) => flag.toUpperCase().replaceAll('-', '_')),
    packetsForward: row.packetsForward,
    packetsReply: row.packetsReply,
    bytesForward: row.bytesForward,
    bytesReply: row.bytesReply,
    idleMs: BigInt(Math.max(0, Math.round(row.idleMs))),
    ageMs: BigInt(Math.max(0, Math.round(row.ageMs))),
    expiresMs: BigInt(Math.max(0, Math.round(row.expiresMs))),
    domain: names.name('domain', row.domain)
  }
}

export function changeMessage (change: SessionChange, names: NameBook): ChangeMessage {
  return { kind: kinds[change.kind], closeReason: change.closeReason.toUpperCase(), session: sessionMessage(change.session, names) }
}
