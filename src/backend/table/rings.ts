/**
 * Maglev rings in the table's arena: two places per VIP, the one in force and the next. A ring is built off the main thread: that of the configured weights
 * anew, that of the weights of now from it with the fewest moves. So it is the same on every node, whatever happened in which order, and a real that went
 * and came back has the entries that it had. It is written to the idle place, and comes into force with the configuration flip that names it (R14).
 */
import type { Drift, RingReading } from '../../contract/dataplane.js'
import { LockstepError } from '../../contract/errors.js'
import type { NativeCore, NativeTable } from '../../native/binding.js'
import { native } from '../../native/errors.js'
import { packReals, type MaglevReal } from '../../native/maglev.js'
import { limits } from '../../generated/layout.js'

export interface RingWanted {
  readonly vip: string
  readonly size: number
  /** As they are weighed now. */
  readonly reals: readonly MaglevReal[]
  /** The same pool as configured. */
  readonly base: readonly MaglevReal[]
  /** Names of reals that take no new flows. */
  readonly down: ReadonlySet<string>
}
/** `down`: names of reals that take no new flows. */
export interface RingPlaced { readonly element: number, readonly entries: number, readonly down: ReadonlySet<string> }

export interface PreparedRings {
  readonly rings: Readonly<Record<string, RingPlaced>>
  /** They are in force now; places of VIPs that are gone are free. */
  readonly commit: () => void
  /** The flip did not happen: places taken for it are free again. */
  readonly undo: () => void
}

/** A ring, and what it was built of, as packReals() gave it. */
interface Built { readonly input: Uint8Array, readonly ring: Uint8Array, readonly hash: bigint }

interface Place {
  readonly size: number
  readonly elements: readonly [number, number]
  active: 0 | 1
  inForce: Built | null
  base: Built | null
}

/** Entries of what was read that are not what was put. */
function driftOf ({ inForce }: Place, ring: Uint16Array): number {
  if (inForce === null || Buffer.compare(inForce.ring, new Uint8Array(ring.buffer, 0, ring.byteLength)) === 0) return 0
  const was = new Uint16Array(inForce.ring.buffer, inForce.ring.byteOffset, ring.length)
  return ring.reduce((n, real, i) => real === was[i] ? n : n + 1, 0)
}

/** Looked at in one turn of the event loop: a millisecond. */
const ENTRIES_A_TURN = 1 << 20

const elementsOf = (size: number): number => Math.ceil(size / limits.LS_RING_ELEMENT)

export class RingArena {
  private readonly places = new Map<string, Place>()
  /** Free stretches, by start. Element 0 stays unused, so that 0 means no ring. */
  private free: Array<{ at: number, count: number }>

  private readonly scratch = new Uint8Array(limits.LS_RING_MAX * 2)

  /** Rings that a predecessor's configuration picks from until the first flip. */
  private inherited: Array<{ at: number, count: number }>

  constructor (private readonly core: Pick<NativeCore, 'maglev'>, private readonly table: Pick<NativeTable, 'info' | 'rings' | 'writeArena' | 'readArena'>) {
    this.inherited = table.rings().map(r => ({ at: r.element, count: elementsOf(r.entries) })).sort((a, b) => a.at - b.at)
    this.free = []
    let at = 1
    for (const held of [...this.inherited, { at: table.info().arenaElements, count: 0 }]) {
      if (held.at > at) this.free.push({ at, count: held.at - at })
      at = Math.max(at, held.at + held.count)
    }
  }

  /** Writes what changed and says where each ring is; nothing is in force until commit(). */
  async prepare (wanted: readonly RingWanted[]): Promise<PreparedRings> {
    const rings: Record<string, RingPlaced> = {}
    const commits: Array<() => void> = []
    const taken: Place[] = []
    const kept = new Set<string>()
    const undo = (): void => { for (const place of taken.splice(0)) this.release(place) }
    try {
      for (const want of wanted) {
        if (want.reals.length === 0) continue
        kept.add(want.vip)
        const known = this.places.get(want.vip)
        const place = known?.size === want.size ? known : this.take(want, taken)
        const base = await this.build(want.size, packReals(want.base), place.base, null)
        const built = await this.build(want.size, packReals(want.reals), place.inForce, base)
        const same = place.inForce?.hash === built.hash
        const next = same ? place.active : (place.active === 0 ? 1 : 0)
        const element = place.elements[next]
        if (!same) native(() => { this.table.writeArena(element, built.ring) }, { object: `vip ${want.vip}` })
        rings[want.vip] = { element, entries: want.size, down: want.down }
        commits.push(() => {
          if (known !== undefined && known !== place) this.release(known)
          place.active = next
          place.inForce = built
          place.base = base
          this.places.set(want.vip, place)
        })
      }
    } catch (error) {
      undo()
      throw error
    }
    return {
      rings,
      undo,
      commit: () => {
        for (const run of commits) run()
        for (const { at, count } of this.inherited.splice(0)) this.give(at, count)
        for (const [vip, place] of this.places) {
          if (kept.has(vip)) continue
          this.release(place)
          this.places.delete(vip)
        }
      }
    }
  }

  hashes (): Map<string, bigint> { return new Map([...this.places].flatMap(([vip, { inForce }]) => inForce === null ? [] : [[vip, inForce.hash]])) }

  readBack (): RingReading[] {
    return [...this.places].map(([vip, place]) => {
      const ring = this.read(vip, place)
      const entries = new Map<number, number>()
      for (const real of ring) entries.set(real, (entries.get(real) ?? 0) + 1)
      return {
        vip, ringSize: place.size, ringHash: (place.inForce?.hash ?? 0n).toString(16).padStart(16, '0'), drifted: driftOf(place, ring),
        reals: [...entries].map(([id, entries]) => ({ id, entries })).sort((a, b) => a.id - b.id)
      }
    })
  }

  /** Rings in force that are not what was put there are put again, in place: an entry is right before or after, and each is one store. */
  async mend (): Promise<Drift['rings']> {
    const mended: Array<{ vip: string, entries: number }> = []
    let read = 0
    for (const [vip, place] of this.places) {
      if ((read += place.size) > ENTRIES_A_TURN) {
        read = 0
        await new Promise((resolve) => { setImmediate(resolve) })
      }
      const entries = driftOf(place, this.read(vip, place))
      if (entries === 0 || place.inForce === null) continue
      const { ring } = place.inForce
      native(() => { this.table.writeArena(place.elements[place.active], ring) }, { object: `vip ${vip}` })
      mended.push({ vip, entries })
    }
    return mended
  }

  get size (): number { return this.places.size }

  /** In one buffer, which the next call takes again: a thousand rings are no garbage of theirs. */
  private read (vip: string, place: Place): Uint16Array {
    const bytes = this.scratch.subarray(0, place.size * 2)
    native(() => { this.table.readArena(place.elements[place.active], bytes) }, { object: `vip ${vip}` })
    return new Uint16Array(this.scratch.buffer, 0, place.size)
  }

  /** `known`: not built again when it is of the same; `from`: as few entries as can be move from it. */
  private async build (size: number, input: Uint8Array, known: Built | null, from: Built | null): Promise<Built> {
    if (known !== null && Buffer.compare(known.input, input) === 0) return known
    if (from !== null && Buffer.compare(from.input, input) === 0) return from
    const { ring, hash } = await this.core.maglev(input, size, from?.ring ?? null)
    return { input, ring, hash }
  }

  private take (want: RingWanted, taken: Place[]): Place {
    const count = elementsOf(want.size)
    const first = this.stretch(count, want)
    let second: number
    try {
      second = this.stretch(count, want)
    } catch (error) {
      this.give(first, count)
      throw error
    }
    const place: Place = { size: want.size, elements: [first, second], active: 1, inForce: null, base: null }
    taken.push(place)
    return place
  }

  private stretch (count: number, want: RingWanted): number {
    const found = this.free.find(f => f.count >= count)
    if (found === undefined) {
      throw new LockstepError('exhausted', 'LS_B_ARENA', 'no room for the ring', { object: `vip ${want.vip}`, found: `${want.size} entries`, expected: `at most ${Math.max(0, ...this.free.map(f => f.count)) * limits.LS_RING_ELEMENT}`, next: 'choose a smaller ring-size for some VIPs' })
    }
    const at = found.at
    found.at += count
    found.count -= count
    return at
  }

  private release (place: Place): void { for (const at of place.elements) this.give(at, elementsOf(place.size)) }

  private give (at: number, count: number): void {
    this.free = [...this.free, { at, count }].sort((a, b) => a.at - b.at).reduce<Array<{ at: number, count: number }>>((out, f) => {
      const last = out.at(-1)
      if (last !== undefined && last.at + last.count === f.at) last.count += f.count
      else if (f.count > 0) out.push({ ...f })
      return out
    }, [])
  }
}
