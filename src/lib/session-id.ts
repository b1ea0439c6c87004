/** Ids of sessions as people see them: origin (the node that made the session) and serial, 16 hexadecimal digits each. */

export const SESSION_ID_BYTES = 16

const hex = (half: bigint): string => half.toString(16).padStart(16, '0')

export const sessionId = (origin: bigint, serial: bigint): string => hex(origin) + hex(serial)

/** @param at offset of the id, two little-endian numbers of 64 bits (struct ls_session_id). */
export const sessionIdAt = (view: DataView, at: number): string => sessionId(view.getBigUint64(at, true), view.getBigUint64(at + 8, true))

/** Ids that stand one after the other. */
export function sessionIds (bytes: Uint8Array): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: Math.floor(bytes.length / SESSION_ID_BYTES) }, (_, i) => sessionIdAt(view, SESSION_ID_BYTES * i))
}
