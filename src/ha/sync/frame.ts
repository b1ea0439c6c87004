/** Frames of the node-to-node stream (native/include/lockstep/peer.h): built, sealed, and taken out of a stream of bytes. */
import { crc32 } from 'node:zlib'
import { layout, limits } from '../../generated/layout.js'

const shape = layout.ls_frame
export const headerBytes = shape.size
/** Types from here on are numbered and acknowledged. */
export const firstOrdered = limits.LS_FRAME_UPSERTS

export interface Frame {
  /** enum ls_frame_type. */
  readonly type: number
  readonly rg: number
  /** Bytes of a row. */
  readonly row: number
  readonly rows: number
  /** 0: beside the stream. */
  readonly seq: number
  readonly epoch: bigint
  /** rows x row bytes, at a multiple of 8, in the reader's memory. */
  readonly body: Uint8Array
}

/** The bytes are no frames of ours: nothing that follows can be trusted. */
export class FrameError extends Error {}

const padded = (bytes: number): number => Math.ceil(bytes / 8) * 8
const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** A frame without a place in the stream; `seal` finishes it. A body of plain bytes has rows of one byte. */
export function frameOf ({ type, rg = limits.LS_RG_NONE, row = 1, epoch = 0n, body }: { readonly type: number, readonly rg?: number, readonly row?: number, readonly epoch?: bigint, readonly body: Uint8Array }): Uint8Array {
  const frame = new Uint8Array(headerBytes + padded(body.length))
  const view = viewOf(frame)
  view.setUint32(shape.bytes.offset, frame.length, true)
  view.setUint8(shape.type.offset, type)
  view.setUint8(shape.rg.offset, rg)
  view.setUint16(shape.row.offset, row, true)
  view.setUint32(shape.rows.offset, body.length / row, true)
  view.setBigUint64(shape.epoch.offset, epoch, true)
  frame.set(body, headerBytes)
  return frame
}

const checked = shape.crc.offset + shape.crc.size

/** Writes the place in the stream and the checksum. */
export function seal (frame: Uint8Array, seq: number): Uint8Array {
  const view = viewOf(frame)
  view.setBigUint64(shape.seq.offset, BigInt(seq), true)
  view.setUint32(shape.crc.offset, crc32(frame.subarray(checked)), true)
  return frame
}

export const typeOf = (frame: Uint8Array): number => frame[shape.type.offset] ?? 0
export const seqOf = (frame: Uint8Array): number => Number(viewOf(frame).getBigUint64(shape.seq.offset, true))

/** The frames that native code wrote one after the other, as copies that stay. */
export function split (bytes: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = []
  const view = viewOf(bytes)
  for (let at = 0; at < bytes.length;) {
    const size = view.getUint32(at + shape.bytes.offset, true)
    const frame = Buffer.allocUnsafeSlow(size) // written whole at once: no need for zeroes
    frame.set(bytes.subarray(at, at + size))
    frames.push(frame)
    at += size
  }
  return frames
}

/** Takes frames out of what a connection delivers. Memory: one frame of the largest size and what came with it. */
export class FrameReader {
  private buffer = new Uint8Array(1 << 16)
  private have = 0

  /** Gives every frame that is whole by now to `take`, which must be done with its body when it returns. */
  read (chunk: Uint8Array, take: (frame: Frame) => void): void {
    if (this.have + chunk.length > this.buffer.length) this.grow(this.have + chunk.length)
    this.buffer.set(chunk, this.have)
    this.have += chunk.length
    const view = viewOf(this.buffer)
    let at = 0
    while (this.have - at >= headerBytes) {
      const bytes = view.getUint32(at + shape.bytes.offset, true)
      if (bytes < headerBytes || bytes > limits.LS_FRAME_BYTES_MAX || bytes % 8 !== 0) throw new FrameError(`a frame of ${bytes} bytes`)
      if (this.have - at < bytes) break
      take(this.frame(view, at, bytes))
      at += bytes
    }
    this.buffer.copyWithin(0, at, this.have) // the next frame begins at a multiple of 8 again
    this.have -= at
  }

  private grow (least: number): void {
    const bigger = new Uint8Array(Math.min(Math.max(2 * this.buffer.length, least), Math.max(least, 2 * limits.LS_FRAME_BYTES_MAX)))
    bigger.set(this.buffer.subarray(0, this.have))
    this.buffer = bigger
  }

  private frame (view: DataView, at: number, bytes: number): Frame {
    const row = view.getUint16(at + shape.row.offset, true)
    const rows = view.getUint32(at + shape.rows.offset, true)
    const length = row * rows
    const type = view.getUint8(at + shape.type.offset)
    const seq = Number(view.getBigUint64(at + shape.seq.offset, true))
    if (view.getUint32(at + shape.crc.offset, true) !== crc32(this.buffer.subarray(at + checked, at + bytes))) throw new FrameError(`a frame of type ${type} whose checksum is wrong`)
    if (padded(length) !== bytes - headerBytes) throw new FrameError(`a frame of type ${type} with ${rows} rows of ${row} bytes in ${bytes}`)
    if (!Number.isSafeInteger(seq) || (type >= firstOrdered) !== (seq > 0)) throw new FrameError(`a frame of type ${type} at place ${seq}`)
    const start = at + headerBytes
    return { type, rg: view.getUint8(at + shape.rg.offset), row, rows, seq, epoch: view.getBigUint64(at + shape.epoch.offset, true), body: this.buffer.subarray(start, start + length) }
  }
}
