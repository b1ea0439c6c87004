/** Numbers from a seed: splitmix64 in two halves is slow in JavaScript, so mulberry32. */
export class Random {
  private state: number
  constructor (seed: number) { this.state = seed >>> 0 }

  /** The same numbers for the nth step whatever the others are. */
  static of (seed: number, n: number): Random { return new Random(Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(n + 1, 0x85ebca6b)) }

  next (): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let z = this.state
    z = Math.imul(z ^ (z >>> 15), z | 1)
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61)
    return ((z ^ (z >>> 14)) >>> 0) / 4294967296
  }

  below (n: number): number { return Math.floor(this.next() * n) }
  chance (p: number): boolean { return this.next() < p }
  bytes (n: number): Uint8Array { return Uint8Array.from({ length: n }, () => this.below(256)) }
}
