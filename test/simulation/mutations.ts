/** Defects planted on purpose: each has to be caught by the simulator, or its invariants say less than they seem to. */
import { limits } from '../../src/generated/layout.js'
import { Incoming } from '../../src/ha/sync/incoming.js'
import { SyncEngine } from '../../src/ha/sync/engine.js'
import { Window } from '../../src/ha/sync/window.js'
import type { NativeReplica } from '../../src/native/binding.js'
import { patched, replacing } from './replace.js'

export interface Mutation {
  readonly what: string
  /** The first of some that show it; 1 when it is not said. */
  readonly seed?: number
  /** Another replica in the place of the real one. */
  readonly wrap?: (replica: NativeReplica) => NativeReplica
  /** Another method of a class; the returned function puts the real one back. */
  readonly patch?: () => () => void
}

const done = { installed: 0, deleted: 0, unknown: 0, waiting: 0, conflicts: 0, full: 0, invalid: 0 }

export const mutations: readonly Mutation[] = [
  { what: 'the last row of an installed frame is forgotten', wrap: replacing('apply', (real) => (type, rg, rows, row, n, mark) => real.apply(type, rg, rows, row, type === limits.LS_FRAME_UPSERTS ? n - 1 : n, mark)) },
  { what: 'deletions are ignored', wrap: replacing('apply', (real) => (type, rg, rows, row, n, mark) => (type === limits.LS_FRAME_DELETES ? done : real.apply(type, rg, rows, row, n, mark))) },
  { what: 'every tenth drain is counted as sent and is not', wrap: (real) => {
    let calls = 0
    return replacing('note', (r) => (records, n, owned, out) => {
      const frames = r.note(records, n, owned, out)
      return ++calls % 10 === 0 ? { bytes: 0, rows: 0 } : frames
    })(real)
  } },
  { what: 'a proof that always agrees', wrap: replacing('cut', (real) => (rg, out) => {
    const taken = real.cut(rg, out)
    out.fill(0, 0, 40)
    return taken
  }) },
  { what: 'a sketch that is called whole before it is', wrap: replacing('count', () => () => true) },
  { what: 'what only the standby has stays', wrap: replacing('compareEnd', (real) => (rg) => ({ ...real.compareEnd(rg), needed: 0 })) },
  { what: 'sessions that are asked for are not sent', wrap: replacing('records', () => () => ({ bytes: 0, rows: 0 })) },
  { what: 'the audit finds nothing', wrap: replacing('audit', () => (_owned, cursor, slots) => ({ bytes: 0, rows: 0, cursor: cursor + slots >= 4096 ? null : cursor + slots })) },
  { what: 'resuming skips a frame', patch: patched(Window.prototype, 'after', (real) => function (seq) { return (real.call(this, seq) as Uint8Array[] | null)?.slice(1) ?? null }) },
  { what: 'a frame is acknowledged and never processed', patch: patched(Incoming.prototype, 'ordered', (real) => {
    let calls = 0
    return function (...args) { return ++calls % 40 === 0 ? true : real.apply(this, args) }
  }) },
  { what: 'another key of the peer is not taken over', wrap: replacing('key', (real) => {
    let first = true
    return (rg, key) => {
      if (!first) return
      first = false
      real.key(rg, key)
    }
  }) },
  { what: 'the window keeps what does not fit', patch: patched(Window.prototype as object, 'push', (real) => function (...args) {
    const self = this as { bytesMax: number }
    self.bytesMax = Infinity
    return real.apply(this, args)
  }) },
  { what: 'a silent peer is waited for', seed: 263, patch: patched(SyncEngine.prototype as object, 'tick', (real) => function (...args) {
    const self = this as { heardAtMs: number, o: { world: { nowMs: () => number } } }
    self.heardAtMs = self.o.world.nowMs()
    return real.apply(this, args)
  }) }
]
