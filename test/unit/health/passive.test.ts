/** What sessions say of their reals, from packed records. */
import t from 'tap'
import { layout, limits } from '../../../src/generated/layout.js'
import { PassiveWatch } from '../../../src/health/passive.js'
import { recordBytes } from '../../../src/native/records.js'

const shape = layout.ls_wire_record
interface Row { readonly real: number, readonly kind?: number, readonly phase?: number, readonly flow?: number, readonly flags?: number, readonly reason?: number, readonly proto?: number }
function packed (rows: readonly Row[]): Uint8Array {
  const out = new Uint8Array(rows.length * recordBytes)
  const view = new DataView(out.buffer)
  rows.forEach(({ real, kind = limits.LS_NOTICE_UPDATE, phase = limits.LS_TCP_CLOSE, flow = limits.LS_FLOW_REPLIED, flags = limits.LS_SF_VIP, reason = 0, proto = 6 }, i) => {
    const at = i * recordBytes
    view.setUint8(at + shape.kind.offset, kind)
    view.setUint8(at + shape.phase.offset, phase)
    view.setUint8(at + shape.close_reason.offset, reason)
    view.setUint16(at + shape.flow.offset, flow, true)
    view.setUint8(at + shape.key.offset + layout.ls_key.proto.offset, proto)
    view.setUint32(at + shape.flags.offset, flags, true)
    view.setUint16(at + shape.real.offset, real, true)
  })
  return out
}
const refused = (real: number): Row => ({ real })
const silent = (real: number): Row => ({ real, kind: limits.LS_NOTICE_DELETE, phase: limits.LS_TCP_SYN_SENT, flow: 0, reason: limits.LS_CLOSE_TIMEOUT })
const answered = (real: number): Row => ({ real, phase: limits.LS_TCP_ESTABLISHED, flow: limits.LS_FLOW_REPLIED | limits.LS_FLOW_ACK_REPLY })
const note = (watch: PassiveWatch, ...rows: readonly Row[]): number[] => watch.note(packed(rows), rows.length)

t.test('refused, and never answered: a row of them; an answer begins it anew, and so does being told', async t => {
  const watch = new PassiveWatch()
  watch.watch(new Map([[3, 3]]))
  t.same(note(watch, refused(3), silent(3), answered(3), refused(3), refused(3)), [])
  t.same(note(watch, silent(3)), [3])
  t.same(note(watch, refused(3), refused(3)), [])
  t.same(note(watch, refused(3), refused(3), refused(3), refused(3)), [3, 3], 'each third')
})

t.test('what says nothing: begun, ended otherwise, reset after an answer, direct server return, UDP, other reals, too short a batch', async t => {
  const watch = new PassiveWatch()
  watch.watch(new Map([[3, 1]]))
  t.same(note(watch,
    { real: 3, kind: limits.LS_NOTICE_CREATE, phase: limits.LS_TCP_SYN_SENT, flow: 0 },
    { ...silent(3), reason: limits.LS_CLOSE_ADMIN }, { real: 3, kind: limits.LS_NOTICE_DELETE, phase: limits.LS_TCP_CLOSE }, { ...answered(3), phase: limits.LS_TCP_CLOSE },
    { ...refused(3), flags: limits.LS_SF_VIP | limits.LS_SF_HALF }, { ...refused(3), proto: 17 }, refused(4), refused(0)
  ), [])
  t.same(watch.note(packed([refused(3)]), 0), [])
  t.same(note(watch, refused(3)), [3])
})

t.test('who is watched no more is forgotten; nobody: nothing is looked at', async t => {
  const watch = new PassiveWatch()
  t.same(note(watch, refused(3)), [])
  watch.watch(new Map([[3, 2], [limits.LS_REALS_MAX - 1, 1]]))
  t.same(note(watch, refused(3), refused(limits.LS_REALS_MAX - 1)), [limits.LS_REALS_MAX - 1])
  watch.watch(new Map())
  t.same(note(watch, refused(3)), [])
  watch.watch(new Map([[3, 2]]))
  t.same(note(watch, refused(3)), [])
})
