/**
 * The agent's connection to the heart (native/heart), which keeps leases and sends heartbeats, of the keeper or of this process. For a worker thread. It connects
 * again by itself until it is closed; what was said last is said again then, since a heart that is new knows nothing.
 */
import { Socket } from 'node:net'
import { layout, limits } from '../../generated/layout.js'
import { loadCore } from '../../native/load.js'
import type { Epoch, NodeStatus } from '../rg.js'
import { readHeartbeat, setupBytes, wordBytes, type HeartSpec } from './word.js'

const AGAIN_MS = 50
/** A heart that does not read for so long is none. */
const BACKLOG_MAX = 1 << 20

export interface HeartEvents {
  /**
   * Connected; before setup and word are said again. `bootId` of the heart, hexadecimal; `resumed`: what an agent said before is in force, and the leases of `adopted`
   * are renewed for it until another word.
   */
  readonly onHello: (bootId: string, resumed: boolean, adopted: ReadonlyArray<{ readonly rg: number, readonly epoch: Epoch }>) => void
  /** A peer's heartbeat by the path of that name, authenticated; `atMs` of CLOCK_MONOTONIC. What a replay is worth, its sequence tells. */
  readonly onHeard: (path: string, status: NodeStatus, atMs: number) => void
  /** These leases ended before they were renewed; they are not until a word says another role or epoch. */
  readonly onLapsed: (rgs: number[]) => void
  /** Of `ask`: what was heard before came first. `awakeSinceMs` of CLOCK_MONOTONIC: since then the heart has listened without a pause. */
  readonly onAnswer: (turn: number, awakeSinceMs: number) => void
  /** In words; once for each cause and connection. */
  readonly onProblem: (text: string) => void
  /** The connection ended; leases go on if the heart lives. */
  readonly onGone: () => void
}

export interface HeartLink {
  /** How: nodes, timing, paths. The same again changes nothing. @throws invalid LS_H_HEART, LS_H_TIMING */
  readonly setup: (spec: HeartSpec) => void
  /** What the heartbeats say from here on, and which leases are renewed. The table comes first: a lease is renewed where both agree. */
  readonly say: (status: NodeStatus) => void
  /** All leases are dropped, and the heartbeats say so; until the next word. */
  readonly resign: () => void
  /** For `onAnswer`, which does not come if the connection ends before it. */
  readonly ask: (turn: number) => void
  readonly close: () => void
}

const frame = layout.ls_heart_frame
const hello = layout.ls_heart_hello
const heard = layout.ls_heart_heard
const answer = layout.ls_heart_answer

function frameOf (kind: number, body: Uint8Array): Uint8Array {
  const out = Buffer.alloc(frame.size + body.length)
  out.writeUInt32LE(out.length, frame.bytes.offset)
  out.writeUInt32LE(kind, frame.kind.offset)
  out.set(body, frame.size)
  return out
}

const groupsOf = (bits: number): number[] => Array.from({ length: limits.LS_RGS_MAX }, (_, rg) => rg).filter(rg => (bits >> rg & 1) === 1)

/** `name`: of a keeper's heart the folder of its pins, else as `Heart` was given it. */
export function openHeart (name: string, events: HeartEvents): HeartLink {
  const connectHeart = loadCore().connectHeart
  let socket: Socket | null = null
  let greeted = false
  let closing = false
  let timer: NodeJS.Timeout | null = null
  let paths: readonly string[] = []
  let setup: Uint8Array | null = null
  /** The last word, or that there is none any more. */
  let last: Uint8Array | null = null
  const told = new Set<string>()

  const write = (bytes: Uint8Array | null): void => {
    if (socket === null || !greeted || bytes === null) return
    socket.write(bytes)
    if (socket.writableLength > BACKLOG_MAX) socket.destroy()
  }
  const problem = (text: string): void => {
    if (told.has(text)) return
    told.add(text)
    events.onProblem(text)
  }
  const onHello = (body: Buffer): void => {
    const adopted = groupsOf(body.readUInt32LE(hello.held.offset)).map(rg => ({ rg, epoch: body.readBigUInt64LE(hello.epoch.offset + rg * hello.epoch.stride) }))
    greeted = true
    events.onHello(body.toString('hex', hello.boot.offset, hello.boot.offset + hello.boot.size), body.readUInt32LE(hello.resumed.offset) === 1, adopted)
    write(setup)
    write(last)
  }
  const onHeard = (body: Buffer): void => {
    const path = paths[body.readUInt32LE(heard.path.offset)]
    if (path === undefined) return // of a setup that is over
    const status = readHeartbeat(body.subarray(heard.head.offset))
    if (typeof status === 'string') problem(`a heartbeat of node ${body[heard.head.offset + layout.ls_heartbeat.node.offset] ?? 0} cannot be read: ${status}; both nodes need versions that fit`)
    else events.onHeard(path, status, Number(body.readBigUInt64LE(heard.at_ns.offset)) / 1e6)
  }
  const onFrame = (kind: number, body: Buffer): void => {
    if (kind === limits.LS_HEART_HELLO && body.length >= hello.size) onHello(body)
    else if (kind === limits.LS_HEART_HEARD && body.length >= heard.size) onHeard(body)
    else if (kind === limits.LS_HEART_LAPSED) events.onLapsed(groupsOf(body.readUInt32LE(layout.ls_heart_lapsed.groups.offset)))
    else if (kind === limits.LS_HEART_ANSWER && body.length >= answer.size) events.onAnswer(Number(body.readBigUInt64LE(answer.turn.offset)), Number(body.readBigUInt64LE(answer.awake_ns.offset)) / 1e6)
    else if (kind === limits.LS_HEART_PROBLEM) events.onProblem(body.toString())
  }
  const connect = (): void => {
    timer = null
    const fd = connectHeart(name)
    if (fd === -1) {
      again()
      return
    }
    const mine = new Socket({ fd, readable: true, writable: true })
    let pending = Buffer.alloc(0)
    socket = mine
    mine.on('data', (data) => {
      pending = Buffer.concat([pending, data])
      while (!closing && pending.length >= frame.size) {
        const bytes = pending.readUInt32LE(frame.bytes.offset)
        if (bytes < frame.size || bytes > limits.LS_HEART_FRAME_MAX) {
          mine.destroy() // not a heart
          return
        }
        if (pending.length < bytes) return
        const [kind, body] = [pending.readUInt32LE(frame.kind.offset), pending.subarray(frame.size, bytes)]
        pending = pending.subarray(bytes)
        onFrame(kind, body)
      }
    })
    mine.on('error', () => { /* its end follows */ })
    mine.on('close', () => {
      const known = greeted
      socket = null
      greeted = false
      told.clear()
      if (closing) return
      if (known) events.onGone()
      again()
    })
  }
  const again = (): void => { if (!closing) timer = setTimeout(connect, AGAIN_MS) }

  connect()
  return {
    setup: (spec) => {
      setup = frameOf(limits.LS_HEART_SETUP, setupBytes(spec))
      paths = spec.paths.map(p => p.name)
      write(setup)
    },
    say: (status) => {
      last = frameOf(limits.LS_HEART_WORD, wordBytes(status))
      write(last)
    },
    resign: () => {
      last = frameOf(limits.LS_HEART_RESIGN, new Uint8Array(0))
      write(last)
    },
    ask: (turn) => {
      const body = Buffer.alloc(layout.ls_heart_ask.size)
      body.writeBigUInt64LE(BigInt(turn), layout.ls_heart_ask.turn.offset)
      write(frameOf(limits.LS_HEART_ASK, body))
    },
    close: () => {
      closing = true
      if (timer !== null) clearTimeout(timer)
      socket?.end(() => { socket?.destroy() })
    }
  }
}
