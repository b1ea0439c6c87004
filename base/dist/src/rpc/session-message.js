import { SessionChangeKind } from '../generated/proto/lockstep/v1/session.js';
const kinds = {
    create: SessionChangeKind.SESSION_CHANGE_KIND_CREATE,
    update: SessionChangeKind.SESSION_CHANGE_KIND_UPDATE,
    recreate: SessionChangeKind.SESSION_CHANGE_KIND_RECREATE,
    delete: SessionChangeKind.SESSION_CHANGE_KIND_DELETE
};
export function sessionMessage(row, names) {
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
        expiresMs: BigInt(Math.max(0, Math.round(row.expiresMs)))
    };
}
export function changeMessage(change, names) {
    return { kind: kinds[change.kind], closeReason: change.closeReason.toUpperCase(), session: sessionMessage(change.session, names) };
}
//# sourceMappingURL=session-message.js.map