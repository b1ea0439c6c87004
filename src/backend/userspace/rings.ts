/**
 * Maglev rings in the table's arena: two places per VIP, the one in force and the next. A ring is built off the main thread from the one in
 * force with the fewest moves, written to the idle place, and comes into force with the configuration flip that names it (R14).
 */
import { LockstepError } from '../../contract/errors.js'
import type { NativeCore, NativeTable } from '../../native/binding.js'
import { packReals, type MaglevReal } from '../../native/maglev.js'
import { limits } from '../../generated/layout.js'

export interface RingWanted { readonly vip: string, readonly size: number, readonly reals: readonly MaglevReal[] }
export interface RingPlaced { readonly element: number, readonly entries: number }

interface Place {
  readonly size: number
  readonly elements: readonly [number, number]
  active: 0 | 1
  ring: Uint8Array | null
  hash: bigint
}

const elementsOf = (size: number): number => Math.ceil(size / limits.LS_RING_ELEMENT)

export class RingArena {
  private places = new Map<string, Place>()
  /** Free stretches, by start. Element 0 stays unused, so that 0 means no ring. */
  private free: Array<{ at: number, count: number }>

  constructor (private readonly core: NativeCore, private readonly table: NativeTable) {
    this.free = [{ at: 1, count: table.info().arenaElements - 1 }]
  }

  /** Writes what changed and says where each ring is; nothing is in force until commit(). */
  async prepare (wanted: readonly RingWanted[]): Promise<{ readonly rings: Readonly<Record<string, RingPlaced>>, readonly commit: () => void }> {
    const rings: Record<string, RingPlaced> = {}
    const commits: Array<() => void> = []
    const kept = new Set<string>()
    for (const want of wanted) {
      if (want.reals.length === 0) continue
      kept.add(want.vip)
      let place = this.places.get(want.vip)
      if (place !== undefined && place.size !== want.size) {
        const old = place
        commits.push(() => { this.release(old) })
        place = undefined
      }
      const fresh = place ?? this.take(want)
      const built = await this.core.maglev(packReals(want.reals), want.size, fresh.ring)
      const same = fresh.ring !== null && built.hash === fresh.hash
      const next = same ? fresh.active : (fresh.active === 0 ? 1 : 0)
      const element = fresh.elements[next]
      if (!same) this.table.writeArena(element, built.ring)
      rings[want.vip] = { element, entries: want.size }
      commits.push(() => {
        fresh.active = next
        fresh.ring = built.ring
        fresh.hash = built.hash
        this.places.set(want.vip, fresh)
      })
    }
    return {
      rings,
      commit: () => {
        for (const run of commits) run()
        for (const [vip, place] of this.places) {
          if (kept.has(vip)) continue
          this.release(place)
          this.places.delete(vip)
        }
      }
    }
  }

  readBack (): ReadonlyArray<{ readonly vip: string, readonly size: number, readonly hash: bigint, readonly entries: ReadonlyMap<number, number> }> {
    return [...this.places].map(([vip, place]) => {
      const ring = new Uint8Array(place.size * 2)
      this.table.readArena(place.elements[place.active], ring)
      const view = new Uint16Array(ring.buffer)
      const entries = new Map<number, number>()
      for (const real of view) entries.set(real, (entries.get(real) ?? 0) + 1)
      return { vip, size: place.size, hash: place.hash, entries }
    })
  }

  private take (want: RingWanted): Place {
    const count = elementsOf(want.size)
    return { size: want.size, elements: [this.stretch(count, want), this.stretch(count, want)], active: 1, ring: null, hash: 0n }
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

  private release (place: Place): void {
    const count = elementsOf(place.size)
    for (const at of place.elements) this.free.push({ at, count })
    this.free.sort((a, b) => a.at - b.at)
    this.free = this.free.reduce<Array<{ at: number, count: number }>>((out, f) => {
      const last = out.at(-1)
      if (last !== undefined && last.at + last.count === f.at) last.count += f.count
      else if (f.count > 0) out.push({ ...f })
      return out
    }, [])
  }
}
