/** How often somebody was refused lately, by caller and remote address: who is refused too often waits. Bounded: of too many addresses the one that was refused longest ago is forgotten. */

const ADDRESSES_MAX = 1024
const WINDOW_MS = 60_000
const REFUSED_MAX = 10

export class Refusals {
  private readonly of = new Map<string, { since: number, times: number }>()

  constructor (private readonly nowMs: () => number = () => performance.now(), readonly max = REFUSED_MAX, private readonly addresses = ADDRESSES_MAX) {}

  get size (): number { return this.of.size }

  /** Seconds until it may try again; 0: now. */
  waitS (address: string): number {
    const one = this.of.get(address)
    const left = one === undefined || one.times < this.max ? 0 : one.since + WINDOW_MS - this.nowMs()
    return left <= 0 ? 0 : Math.ceil(left / 1000)
  }

  add (address: string): void {
    const now = this.nowMs()
    const known = this.of.get(address)
    const one = known === undefined || now - known.since >= WINDOW_MS ? { since: now, times: 0 } : known
    one.times++
    this.of.delete(address)
    this.of.set(address, one)
    const [oldest] = this.of.keys()
    if (this.of.size > this.addresses && oldest !== undefined) this.of.delete(oldest)
  }
}
