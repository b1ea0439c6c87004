/** Since when things are there, for who sees only what is there now. */
export class FirstSeen {
  private known = new Map<string, number>()

  constructor (private readonly now: () => number = Date.now) {}

  /** Unix ms of each; what is not among them is forgotten. */
  of (keys: readonly string[]): readonly number[] {
    const now = this.now()
    this.known = new Map(keys.map(key => [key, this.known.get(key) ?? now]))
    return keys.map(key => this.known.get(key) ?? now)
  }
}
