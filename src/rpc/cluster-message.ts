/** The cluster as messages of lockstep.v1.Cluster. */
import type { ClusterEvent, ClusterGroupStatus, ClusterPeer, ClusterStatus, ClusterSync, PeerLiveness, RoleChange, VerifyResult } from '../contract/cluster.js'
import type { RgRole } from '../contract/dataplane.js'
import {
  PeerLiveness as LivenessMessage, RgRole as RoleMessage, SyncState, type ClusterEvent as EventMessage, type ClusterGetStatusResponse, type ClusterGroup,
  type ClusterPeer as PeerMessage, type ClusterSync as SyncMessage, type ClusterTotal, type EventField, type GroupVerification, type RoleChange as ChangeMessage
} from '../generated/proto/lockstep/v1/cluster.js'
import { formatEndpoint } from '../lib/address.js'

const roles = {
  init: RoleMessage.RG_ROLE_INIT, standby: RoleMessage.RG_ROLE_STANDBY, owner: RoleMessage.RG_ROLE_OWNER,
  hold: RoleMessage.RG_ROLE_HOLD, yield: RoleMessage.RG_ROLE_YIELD, take: RoleMessage.RG_ROLE_TAKE
} as const satisfies Record<RgRole, RoleMessage>

const livenesses = {
  unseen: LivenessMessage.PEER_LIVENESS_UNSEEN, alive: LivenessMessage.PEER_LIVENESS_ALIVE,
  suspect: LivenessMessage.PEER_LIVENESS_SUSPECT, lost: LivenessMessage.PEER_LIVENESS_LOST
} as const satisfies Record<PeerLiveness, LivenessMessage>

const syncStates = {
  down: SyncState.SYNC_STATE_DOWN, hello: SyncState.SYNC_STATE_HELLO, up: SyncState.SYNC_STATE_UP, refused: SyncState.SYNC_STATE_REFUSED, differs: SyncState.SYNC_STATE_DIFFERS
} as const satisfies Record<ClusterSync['state'], SyncState>

const whole = (value: number): bigint => BigInt(Math.round(value))
const wholeOrNone = (value: number | null): bigint | undefined => value === null ? undefined : whole(value)
const totals = (counts: Readonly<Record<string, number>>): ClusterTotal[] => Object.entries(counts).map(([kind, value]) => ({ kind, value: whole(value) }))

export function statusMessage (s: ClusterStatus): ClusterGetStatusResponse {
  return {
    node: s.node, nodeIndex: s.nodeIndex, bootId: s.bootId, generation: whole(s.generation),
    peers: s.peers.map(peerMessage), sync: syncMessage(s.sync), groups: s.groups.map(groupMessage),
    rings: s.rings === null ? undefined : { equal: s.rings.equal, differing: [...s.rings.differing] }
  }
}

function peerMessage (p: ClusterPeer): PeerMessage {
  return {
    node: p.node, liveness: livenesses[p.liveness], paths: p.paths.map(({ path, liveness }) => ({ path, liveness: livenesses[liveness] })),
    agent: p.agent ?? '', generation: wholeOrNone(p.generation), bootId: p.bootId ?? ''
  }
}

function syncMessage (s: ClusterSync): SyncMessage {
  return {
    state: syncStates[s.state], refusal: s.refusal, address: s.path === null ? '' : formatEndpoint(s.path.address.host, s.path.address.port), path: s.path?.index,
    lagMs: s.lagMs ?? undefined, lag: { ...s.lag, count: whole(s.lag.count) }, aheadBytes: whole(s.aheadBytes), sent: totals(s.sent), received: totals(s.received)
  }
}

function groupMessage (g: ClusterGroupStatus): ClusterGroup {
  return {
    rg: g.rg, description: g.description, role: roles[g.role], epoch: g.epoch, owner: g.owner ?? '', priority: g.priority, effectivePriority: g.effectivePriority,
    preempt: g.preempt, pinned: g.pinned, holds: [...g.holds], ready: g.ready, reasons: [...g.reasons], decision: g.decision, move: g.move === null ? undefined : { ...g.move },
    copy: g.copy, provenEqualAtMs: wholeOrNone(g.provenEqualAt), sessions: whole(g.sessions),
    peer: g.peer === null ? undefined : { ...g.peer, role: roles[g.peer.role], reasons: [...g.peer.reasons] },
    monitorsDown: [...g.monitorsDown], history: g.history.map(changeMessage)
  }
}

const changeMessage = ({ at, from, to, epoch, code }: RoleChange): ChangeMessage => ({ atMs: whole(at), from: roles[from], to: roles[to], epoch, code })

export function verificationMessage ({ rg, equal, sessions, differences, provenEqualAt, tookMs }: VerifyResult): GroupVerification {
  return { rg, equal, sessions: whole(sessions), differences: whole(differences), provenEqualAtMs: wholeOrNone(provenEqualAt), tookMs }
}

/** How a copy stands when nobody has compared it just now. */
export const standing = ({ rg, copy, sessions, provenEqualAt }: ClusterGroupStatus): GroupVerification => ({ rg, equal: copy === 'equal', sessions: whole(sessions), differences: 0n, provenEqualAtMs: wholeOrNone(provenEqualAt), tookMs: 0 })

export function eventMessage ({ at, name, rg, peer, fields }: ClusterEvent): EventMessage {
  return { atMs: whole(at), name, rg: rg ?? undefined, peer: peer ?? '', fields: fieldMessages(fields) }
}

export const fieldMessages = (fields: ClusterEvent['fields']): EventField[] => Object.entries(fields).map(([name, value]) => ({ name, value: valueOf(value) }))

function valueOf (value: string | number | null): EventField['value'] {
  if (value === null) return undefined
  return typeof value === 'number' ? { $case: 'number', value } : { $case: 'text', value }
}
