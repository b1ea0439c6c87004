/**
 * One configuration for both nodes (D8): the owner of group 0 sends what it has applied until the peer says that it has applied it too; the other applies
 * what it gets, under the same number and with the same ids. Level-triggered: looked at after every event and every AGAIN_MS.
 */
import { createHash } from 'node:crypto'
import { Config, ConfigAck } from '../generated/proto/lockstep/peer/v1/peer.js'
import type { Followed } from '../config/authority.js'
import { readOverlay } from '../config/overlay.js'
import type { Overlay } from '../contract/overlay.js'
import { LockstepError } from '../contract/errors.js'
import { limits } from '../generated/layout.js'
import { causeOf } from '../lib/cause-of.js'

/** Between two looks, and between two attempts at the same generation: doubled after each that the peer refused. */
const AGAIN_MS = 2000
const AGAIN_MS_MAX = 60_000
const APPLY_MS = 60_000
/** A peer that asks for a number further away than that is not believed. */
const LEAP_MAX = 1 << 20
/** Of a frame, less its header. */
const BODY_MAX = limits.LS_FRAME_BYTES_MAX - 1024

export interface ConfigExchangeOptions {
  /** What runs here. */
  readonly shared: () => Followed | null
  readonly follow: (peer: Followed, signal: AbortSignal) => Promise<void>
  /** Our number is taken at the peer: another, at least this. */
  readonly renumber: (least: number, signal: AbortSignal) => Promise<void>
  /** False: the peer does not hear it. */
  readonly say: (type: 'config' | 'configAck', body: Uint8Array) => Promise<boolean>
  /** This node owns group 0, and its peer is connected with another generation or other ids than ours, or in any case. */
  readonly wanted: (inAnyCase: boolean) => Promise<boolean>
  /** `refusal` '': applied; else it is sent again in so long. */
  readonly onAnswer: (generation: number, refusal: string, againMs: number) => void
  readonly onFollowed: (generation: number, refusal: string) => void
}

export interface ConfigExchange {
  readonly look: () => void
  readonly received: (type: 'config' | 'configAck', body: Uint8Array) => void
  readonly close: () => void
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex')

export function exchangeConfigs (o: ConfigExchangeOptions): ConfigExchange {
  let sentAt = -Infinity
  let sent = 0
  /** Digests of the overlay that was sent, and of the one that the peer said it has since it is connected. */
  let sentOverlay = ''
  let answeredOverlay = ''
  let pauseMs = AGAIN_MS
  let looking = false
  let following = false
  let closed = false

  const send = async (): Promise<void> => {
    const mine = o.shared()
    if (mine === null) return
    const overlay = JSON.stringify(mine.overlay)
    const digest = digestOf(overlay)
    if (mine.generation === sent && digest === sentOverlay && performance.now() - sentAt < pauseMs) return
    if (!await o.wanted(true)) {
      sentOverlay = answeredOverlay = '' // whoever comes back may have another
      return
    }
    if (digest === answeredOverlay && !await o.wanted(false)) return
    if (mine.generation !== sent) pauseMs = AGAIN_MS
    sent = mine.generation
    sentOverlay = digest
    sentAt = performance.now()
    const body = Config.encode({ generation: BigInt(mine.generation), text: mine.text, author: mine.author, comment: mine.comment, ids: JSON.stringify(mine.ids), overlay }).finish()
    if (body.length > BODY_MAX) o.onAnswer(mine.generation, `it has ${body.length} bytes with its ids, and ${BODY_MAX} can be sent`, pauseMs)
    else await o.say('config', body)
  }
  const look = (): void => {
    if (looking || closed) return
    looking = true
    void send().catch(() => undefined).finally(() => { looking = false })
  }
  const answer = async ({ generation, overlay }: Config, refusal: string, free = 0n): Promise<void> => { await o.say('configAck', ConfigAck.encode({ generation, refusal, free, overlay: digestOf(overlay) }).finish()) }

  const follow = async (body: Uint8Array): Promise<void> => {
    let config: Config
    let ids: unknown
    let overlay: Overlay | null
    try {
      config = Config.decode(body)
      ids = JSON.parse(config.ids)
      overlay = readOverlay(config.overlay)
    } catch {
      return // of a peer that speaks otherwise: it hears no answer
    }
    if (following || closed || overlay === null) return // it comes again
    following = true
    try {
      await o.follow({ generation: Number(config.generation), text: config.text, author: config.author, comment: config.comment, ids, overlay }, AbortSignal.timeout(APPLY_MS))
      o.onFollowed(Number(config.generation), '')
      await answer(config, '')
    } catch (error) {
      const refusal = causeOf(error)
      o.onFollowed(Number(config.generation), refusal)
      await answer(config, refusal, error instanceof LockstepError && error.code === 'LS_C_GENERATION' ? BigInt(Number.parseInt(error.detail.expected ?? '0', 10)) : 0n)
    } finally {
      following = false
    }
  }

  const answered = async (body: Uint8Array): Promise<void> => {
    let ack: ConfigAck
    try {
      ack = ConfigAck.decode(body)
    } catch {
      return
    }
    const free = Number(ack.free)
    if (free > sent && free <= sent + LEAP_MAX) return void await o.renumber(free, AbortSignal.timeout(APPLY_MS))
    if (ack.refusal === '') {
      answeredOverlay = ack.overlay
      pauseMs = AGAIN_MS
    } else pauseMs = Math.min(2 * pauseMs, AGAIN_MS_MAX)
    o.onAnswer(Number(ack.generation), ack.refusal, pauseMs)
  }

  const timer = setInterval(look, AGAIN_MS)
  timer.unref()
  return {
    look,
    received: (type, body) => { void (type === 'config' ? follow(body) : answered(body)).catch(() => undefined) },
    close: () => {
      closed = true
      clearInterval(timer)
    }
  }
}
