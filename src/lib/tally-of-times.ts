/** How often something took how long, in buckets as Prometheus has them. */

/** How many were at most each bound, and beyond the last one: `counts` has one more than `bounds`, and is not cumulative. */
export interface Times { readonly bounds: readonly number[], readonly counts: readonly number[], readonly sum: number }

export class TallyOfTimes {
  private readonly counts: number[]
  private sum = 0

  /** @param bounds rising, in the unit of what is added */
  constructor (private readonly bounds: readonly number[]) { this.counts = new Array<number>(bounds.length + 1).fill(0) }

  add (value: number): void {
    const at = this.bounds.findIndex(bound => value <= bound)
    const bucket = at < 0 ? this.bounds.length : at
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1
    this.sum += value
  }

  get times (): Times { return { bounds: this.bounds, counts: [...this.counts], sum: this.sum } }
}
