/** Words of a planned move on the wire: peer.v1.Move. What comes from the peer and makes no sense is null. */
import { Move, Move_Kind as Kind } from '../generated/proto/lockstep/peer/v1/peer.js'
import type { MoveMessage } from './move.js'

const kinds = {
  offer: Kind.KIND_OFFER, request: Kind.KIND_REQUEST, yielding: Kind.KIND_YIELDING, final: Kind.KIND_FINAL, owning: Kind.KIND_OWNING, settled: Kind.KIND_SETTLED, ack: Kind.KIND_ACK,
  abort: Kind.KIND_ABORT, refused: Kind.KIND_REFUSED
} as const satisfies Record<MoveMessage['kind'], Kind>

export function encodeMove (m: MoveMessage): Uint8Array {
  const { rg, moveId, from, to } = m
  return Move.encode({
    kind: kinds[m.kind], rg, moveId, from, to, manual: 'manual' in m && m.manual, epoch: 'epoch' in m ? m.epoch : 0n, generation: 'generation' in m ? m.generation : 0n, seq: 'seq' in m ? m.seq : 0n,
    reasons: m.kind === 'refused' ? [...m.reasons] : []
  }).finish()
}

export function decodeMove (body: Uint8Array): MoveMessage | null {
  let m: Move
  try {
    m = Move.decode(body)
  } catch {
    return null
  }
  const { rg, moveId, from, to, manual, epoch, generation, seq, reasons } = m
  const head = { rg, moveId, from, to }
  switch (m.kind) {
    case Kind.KIND_OFFER: return { ...head, kind: 'offer', manual }
    case Kind.KIND_REQUEST: return { ...head, kind: 'request', manual, epoch, generation }
    case Kind.KIND_YIELDING: return { ...head, kind: 'yielding' }
    case Kind.KIND_FINAL: return { ...head, kind: 'final', seq }
    case Kind.KIND_OWNING: return { ...head, kind: 'owning', epoch }
    case Kind.KIND_SETTLED: return { ...head, kind: 'settled' }
    case Kind.KIND_ACK: return { ...head, kind: 'ack' }
    case Kind.KIND_ABORT: return { ...head, kind: 'abort' }
    case Kind.KIND_REFUSED: return { ...head, kind: 'refused', reasons }
    default: return null
  }
}
