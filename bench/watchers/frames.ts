/** Messages of gRPC from the bytes of a stream, and what is in a SessionChanges without decoding it. */

const PREFIX = 5

export class FrameReader {
  private parts: Buffer[] = []
  private have = 0
  /** Bytes of the message that is coming, with its prefix; 0: not known yet. */
  private need = 0

  constructor (private readonly onMessage: (message: Buffer) => void) {}

  push (chunk: Buffer): void {
    this.parts.push(chunk)
    this.have += chunk.length
    while (this.have >= Math.max(PREFIX, this.need)) {
      const whole = this.parts.length === 1 ? this.parts[0] ?? chunk : Buffer.concat(this.parts)
      this.need = PREFIX + whole.readUInt32BE(1)
      this.parts = [whole]
      if (whole.length < this.need) return
      this.onMessage(whole.subarray(PREFIX, this.need))
      const rest = whole.subarray(this.need)
      this.parts = rest.length === 0 ? [] : [rest]
      this.have = rest.length
      this.need = 0
    }
  }
}

/** Field 1: a change, by its length; field 2: a number of lost ones. */
export function changesIn (message: Uint8Array): { readonly changes: number, readonly lost: number } {
  let [at, changes, lost] = [0, 0, 0]
  const varint = (): number => {
    let [value, scale] = [0, 1]
    for (; ; scale *= 128) {
      const byte = message[at++]
      if (byte === undefined) throw new RangeError('a message that ends within a number')
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }
  while (at < message.length) {
    const tag = varint()
    const value = varint()
    if (tag === 0x0a) {
      changes++
      at += value
    } else if (tag === 0x10) lost += value
    else throw new RangeError(`field ${tag >> 3} is not one of SessionChanges`)
  }
  return { changes, lost }
}
