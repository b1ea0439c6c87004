/** Sessions.Install: sessions as another firewall knew them, checked value by value before any is put into the table. */
import { isIP } from 'node:net'
import { LockstepError } from '../contract/errors.js'
import type { NameBook } from '../contract/services.js'
import type { NewSession, SessionTuple } from '../contract/session.js'
import { phase, status, type Phase } from '../generated/codes.js'
import { limits } from '../generated/layout.js'
import type { SessionSpec, SessionsInstallResponse } from '../generated/proto/lockstep/v1/sessions.js'
import { idsOf, phaseName, tupleOf } from './session-filter.js'

const [ICMP, TCP, UDP, ICMP6] = [1, 6, 17, 58]
const established = new Map<number, Phase>([[TCP, 'tcp_established'], [UDP, 'udp_stream'], [ICMP, 'icmp_echo'], [ICMP6, 'icmp_echo']])
/** Only one side has been heard. */
const oneSided: ReadonlySet<string> = new Set<Phase>(['tcp_syn_sent', 'udp_new', 'other_new', 'half_new'])

/** @throws invalid LS_R_INSTALL and those of filters, with the position of the session in the object */
export function newSessions (specs: readonly SessionSpec[], names: NameBook, least: 0 | 1 = 1): readonly NewSession[] {
  if (specs.length < least || specs.length > limits.LS_WRITER_BATCH) throw new LockstepError('invalid', 'LS_R_INSTALL', 'not a number of sessions that a call takes', { object: 'sessions', found: String(specs.length), expected: `${least} to ${limits.LS_WRITER_BATCH}` })
  return specs.map((spec, index) => {
    try {
      return newSession(spec, names)
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error
      throw new LockstepError(error.errorClass, error.code, 'the session cannot be put into the table', { ...error.detail, object: `sessions[${index}].${error.detail.object ?? ''}` }, error)
    }
  })
}

function newSession (spec: SessionSpec, names: NameBook): NewSession {
  if (spec.tuple === undefined) throw new LockstepError('invalid', 'LS_R_INSTALL', 'a session has a tuple', { object: 'tuple', found: 'none' })
  const tuple = tupleOf(spec.tuple, names)
  const reply: SessionTuple = {
    ...tuple, source: addressOr('reply_source', spec.replySource, tuple.destination), sourcePort: portOr('reply_source_port', spec.replySourcePort, tuple.destinationPort),
    destination: addressOr('reply_destination', spec.replyDestination, tuple.source), destinationPort: portOr('reply_destination_port', spec.replyDestinationPort, tuple.sourcePort)
  }
  const { zoneIn = 0, zoneOut = 0, policy = 0, vip = 0, real = 0, app = 0 } = idsOf(spec, names)
  if (spec.rg !== limits.LS_RG_NONE && spec.rg >= limits.LS_RGS_MAX) throw new LockstepError('invalid', 'LS_R_INSTALL', 'not a redundancy group', { object: 'rg', found: String(spec.rg), expected: `0 to ${limits.LS_RGS_MAX - 1}, or ${limits.LS_RG_NONE}` })
  if (spec.idleMs > spec.ageMs) throw new LockstepError('invalid', 'LS_R_INSTALL', 'idle for longer than it is old', { object: 'idle_ms', found: String(spec.idleMs), expected: `at most ${spec.ageMs}` })
  if (spec.ageMs > AGE_MS_MAX) throw new LockstepError('invalid', 'LS_R_INSTALL', 'too old', { object: 'age_ms', found: String(spec.ageMs), expected: `at most ${AGE_MS_MAX}` })
  const named = spec.phase === '' ? established.get(tuple.protocol) ?? 'other_stream' : phaseName(spec.phase).toLowerCase()
  return { tuple, reply, zoneIn, zoneOut, policy, vip, real, app, rg: spec.rg, phase: phase.findIndex(({ name }) => name === named), replied: !oneSided.has(named), ageMs: Number(spec.ageMs), idleMs: Number(spec.idleMs) }
}

/** A hundred years. */
const AGE_MS_MAX = 3_155_760_000_000n

function addressOr (field: string, text: string, otherwise: string): string {
  if (text === '') return otherwise
  if (isIP(text) === 0 || text.includes('%')) throw new LockstepError('invalid', 'LS_R_INSTALL', 'not an address', { object: field, found: text.slice(0, 64) })
  return text
}

function portOr (field: string, port: number, otherwise: number): number {
  if (port > 0xffff) throw new LockstepError('invalid', 'LS_R_INSTALL', 'not a port', { object: field, found: String(port), expected: '0 to 65535' })
  return port === 0 ? otherwise : port
}

/** @param kept of them were here already */
export function installed (statuses: Uint8Array, kept = 0): SessionsInstallResponse {
  const refused = [...statuses].flatMap((code, index) => code === 0 ? [] : [{ index, code: `LS_${(status[code]?.name ?? 'e_bug').toUpperCase()}` }])
  return { installed: statuses.length - refused.length - kept, kept, refused }
}
