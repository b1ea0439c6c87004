/** A column of texts as Arrow has it: where each ends, and the bytes of all (columnar format, "Variable-size Binary Layout"). Grows as it is filled. */
import { makeData, Utf8, type Data } from 'apache-arrow'

export class TextColumn {
  private readonly offsets: Int32Array
  private bytes: Uint8Array
  private at = 0
  private row = 0

  /** `guess`: bytes a row. */
  constructor (private readonly rows: number, guess: number) {
    this.offsets = new Int32Array(rows + 1)
    this.bytes = new Uint8Array(Math.max(64, rows * guess))
  }

  /** The next row. */
  append (text: Uint8Array): void {
    this.room(text.length)
    this.bytes.set(text, this.at)
    this.end(this.at + text.length)
  }

  /** The next row, of an IPv4 address. */
  appendIpv4 (a: number, b: number, c: number, d: number): void {
    this.room(15)
    let at = this.digits(a, this.at)
    for (const octet of [b, c, d]) {
      this.bytes[at++] = 0x2e
      at = this.digits(octet, at)
    }
    this.end(at)
  }

  data (): Data<Utf8> {
    return makeData({ type: new Utf8(), length: this.rows, nullCount: 0, valueOffsets: this.offsets, data: this.bytes.subarray(0, this.at) })
  }

  private digits (octet: number, at: number): number {
    if (octet >= 100) this.bytes[at++] = 48 + Math.floor(octet / 100)
    if (octet >= 10) this.bytes[at++] = 48 + Math.floor(octet / 10) % 10
    this.bytes[at++] = 48 + octet % 10
    return at
  }

  private end (at: number): void {
    this.at = at
    this.offsets[++this.row] = at
  }

  private room (bytes: number): void {
    if (this.at + bytes <= this.bytes.length) return
    const more = new Uint8Array(2 * this.bytes.length + bytes)
    more.set(this.bytes.subarray(0, this.at))
    this.bytes = more
  }
}
