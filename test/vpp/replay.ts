/**
 * A VPP that says what a real one said: a server that speaks one recorded conversation. A client may leave questions out, but what it asks must come in the
 * order of the recording and be the same bytes, contexts aside; anything else is kept as an offence, and gets the silence that VPP has for it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Frame, Transcript } from './transcript.js'

const HEADER = 16

/** Where the context of a frame is; the greeting has no client index before it. */
const contextAt = (frame: Buffer): number => HEADER + (frame.readUInt16BE(HEADER) === 15 ? 2 : 6)
const without = (frame: Buffer, at: number): Buffer => {
  const copy = Buffer.from(frame)
  copy.fill(0, at, at + 4)
  return copy
}
const same = (a: Buffer, b: Buffer): boolean => a.length === b.length && a.length > HEADER + 2 && without(a, contextAt(a)).equals(without(b, contextAt(b)))

function answered (frame: Frame, context: number): Buffer {
  if (frame.event === true || frame.re === undefined) return frame.bytes
  const copy = Buffer.from(frame.bytes)
  copy.writeUInt32BE(context, HEADER + (copy.readUInt16BE(HEADER) === 16 ? 6 : 2))
  return copy
}

/** A place for a socket whose name is short enough for one. */
export function socketPath (t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-vpp-'))
  t.teardown(() => { rmSync(dir, { recursive: true, force: true }) })
  return join(dir, 'api.sock')
}

export interface Replay {
  readonly path: string
  /** What no recorded frame matched, as hex. */
  readonly offences: readonly string[]
  readonly connections: () => number
  /** Cuts all connections. */
  readonly cut: () => void
  readonly close: () => Promise<void>
}

export interface ReplayOptions {
  /** Bytes a write; 0 = a frame a write. */
  readonly pieces?: number
  /** Called for each frame to be sent; null = it is not. */
  readonly alter?: (frame: Buffer, recorded: Frame) => Buffer | null
  /** After so many frames of answers the connection is cut. */
  readonly cutAfter?: number
}

export async function replay (t: Test, { frames }: Transcript, { pieces = 0, alter = (frame) => frame, cutAfter = Infinity }: ReplayOptions = {}): Promise<Replay> {
  const path = socketPath(t)
  const offences: string[] = []
  const sockets = new Set<Socket>()
  let made = 0

  const serve = (socket: Socket): void => {
    sockets.add(socket)
    made++
    let next = 0
    let sent = 0
    let rest = Buffer.alloc(0)
    const say = (bytes: Buffer): void => {
      for (let at = 0; at < bytes.length; at += pieces === 0 ? bytes.length : pieces) socket.write(bytes.subarray(at, pieces === 0 ? bytes.length : at + pieces))
      if (++sent >= cutAfter) socket.destroy()
    }
    const hear = (frame: Buffer): void => {
      const found = frames.findIndex((f, i) => i >= next && f.dir === 'c2s' && same(f.bytes, frame))
      if (found === -1) {
        offences.push(frame.toString('hex'))
        return
      }
      const context = frame.readUInt32BE(contextAt(frame))
      const following = frames.findIndex((f, i) => i > found && f.dir === 'c2s')
      const events = frames.slice(next, following === -1 ? frames.length : following).filter((f) => f.event === true) // those behind questions that were left out too
      next = following === -1 ? frames.length : following
      for (const f of [...frames.filter((f) => f.dir === 's2c' && f.re === found), ...events].sort((a, b) => a.i - b.i)) {
        const bytes = alter(answered(f, context), f)
        if (bytes !== null) say(bytes)
      }
    }
    socket.on('data', (data) => {
      rest = Buffer.concat([rest, data])
      while (rest.length >= HEADER && rest.length >= HEADER + rest.readUInt32BE(8)) {
        const end = HEADER + rest.readUInt32BE(8)
        hear(rest.subarray(0, end))
        rest = rest.subarray(end)
      }
    })
    socket.on('error', () => undefined)
    socket.on('close', () => { sockets.delete(socket) })
  }
  const server: Server = createServer(serve)
  await new Promise<void>((resolve) => { server.listen(path, resolve) })
  const cut = (): void => { for (const socket of sockets) socket.destroy() }
  const close = async (): Promise<void> => {
    cut()
    await new Promise<void>((resolve) => { server.close(() => { resolve() }) })
  }
  t.teardown(close)
  return { path, offences, connections: () => made, cut, close }
}
