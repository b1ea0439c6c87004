/** lb_kind and lvs_method -> mode of a VIP. */
import type { RawVip } from '../raw.js'
import { noteOn, type Directive } from './blocks.js'
import type { Notes } from './notes.js'

export type Mode = NonNullable<RawVip['mode']>

/** keepalived's default is NAT. */
export function modeOf (notes: Notes, d: Directive | null): Mode {
  const [, kind = 'NAT', ...options] = d?.words ?? []
  if (d === null || kind === 'NAT') return 'nat'
  if (kind === 'DR') return 'l2'
  if (kind !== 'TUN') {
    noteOn(notes, d, 'not NAT, DR or TUN; mode nat is taken')
    return 'nat'
  }
  const type = options[0] === 'type' ? options[1] ?? 'ipip' : 'ipip'
  if (type === 'gre') return 'gre'
  if (type !== 'ipip' || options.length > 2) noteOn(notes, d, 'the tunnels are ipip and gre, without GUE and checksums; mode ipip is taken: the reals must decapsulate it')
  return 'ipip'
}
