/**
 * BIRD 2: its control socket. A line is a question; lines of the answer begin with a code and `-`, the last one with a code and a space, and lines that begin with
 * a space belong to the code before them. What is asked first is `restrict`, so that nothing said here can change anything.
 */
import type { BgpFsm, BgpNeighbour } from '../../contract/bgp.js'
import { LockstepError } from '../../contract/errors.js'
import { converse } from './converse.js'
import { collected, neighbour, type Provider } from './provider.js'
import { localText, peerText } from './text.js'

/** Of one answer: a neighbour with its channels is some 2 kB. */
export const BIRD_BYTES_MAX = 64 << 20
const DAY_MS = 86_400_000

const refused = (what: string, found: string): LockstepError => new LockstepError('unavailable', 'LS_G_REPLY', what, { object: 'bird', found: found.slice(0, 200) })

export function birdProvider ({ name, socket, vrf }: { readonly name: string, readonly socket: string, readonly vrf: string | null }): Provider {
  return {
    source: 'bird', scope: name, follow: null,
    read: async signal => await converse(socket, signal, BIRD_BYTES_MAX, async ({ say, hear }) => {
      birdLines(await hear(birdWhole))
      const ask = async (question: string): Promise<readonly BirdLine[]> => {
        say(`${question}\n`)
        return birdLines(await hear(birdWhole))
      }
      await ask('restrict')
      const now = birdServerTime(await ask('show status'))
      const at = Date.now()
      return [{ source: 'bird', scope: name, at, ok: true, neighbours: birdNeighbours(await ask('show protocols all'), { at, server: now, vrf: vrf ?? 'default' }) }]
    })
  }
}

/** Does the last line end an answer? */
export function birdWhole (end: Buffer): boolean {
  const text = end.toString('latin1')
  if (!text.endsWith('\n')) return false
  const last = text.slice(text.lastIndexOf('\n', text.length - 2) + 1)
  return /^\d{4} /.test(last)
}

export interface BirdLine { readonly code: number, readonly text: string }

/** @throws unavailable LS_G_REPLY: it is an error */
export function birdLines (answer: Buffer | string): BirdLine[] {
  let code = 0
  const lines: BirdLine[] = []
  for (const line of answer.toString('utf8').split('\n')) {
    const [, digits, text = ''] = /^(\d{4})[- ](.*)$/.exec(line) ?? []
    if (digits !== undefined) {
      code = Number(digits)
      if (code >= 8000) throw refused('refused the question', `${digits} ${text}`)
      lines.push({ code, text })
    } else if (line.startsWith(' ')) lines.push({ code, text: line.slice(1) })
  }
  return lines
}

/** Words of the daemon's clock, as it prints it; `null`: it does not. */
export function birdServerTime (lines: readonly BirdLine[]): string | null {
  for (const { text } of lines) {
    const found = /Current server time is (.+)$/.exec(text)?.[1]
    if (found !== undefined) return found.trim()
  }
  return null
}

/** Local to the daemon, whose zone nobody tells: milliseconds on its own scale, and whether the day, or the time of day, is missing. */
interface Clock { readonly ms: number, readonly scale: 'epoch' | 'local' | 'time-of-day' }

function clockOf (text: string): Clock | null {
  const epoch = /^(\d{9,11})(?:\.(\d{1,6}))?$/.exec(text)
  if (epoch !== null) return { ms: Number(epoch[1]) * 1000 + Number(`0.${epoch[2] ?? '0'}`) * 1000, scale: 'epoch' }
  const [, y, mo, d, h, mi, s, f] = /^(?:(\d{4})-(\d\d)-(\d\d))?[ T]?(?:(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?$/.exec(text) ?? []
  if (y === undefined && h === undefined) return null
  const time = h === undefined ? 0 : (Number(h) * 3600 + Number(mi) * 60 + Number(s)) * 1000 + Math.floor(Number(`0.${f ?? '0'}`) * 1000)
  return y === undefined ? { ms: time, scale: 'time-of-day' } : { ms: Date.UTC(Number(y), Number(mo) - 1, Number(d)) + time, scale: 'local' }
}

/**
 * The moment that `since` names. Seconds since 1970 are it; everything else is laid beside the daemon's own clock, which was read at `at`, and so needs no
 * zone: a time of day is the last one before now. `null`: it is written in a way of the operator's own.
 */
export function birdMoment (since: string, server: string | null, at: number): number | null {
  const then = clockOf(since)
  if (then === null) return null
  if (then.scale === 'epoch') return Math.floor(then.ms)
  const now = server === null ? null : clockOf(server)
  if (now === null || now.scale === 'epoch') return null
  if (then.scale === 'local') return now.scale === 'local' ? at - Math.max(0, now.ms - then.ms) : null
  // the daemon rounds: a moment that just was is not one of yesterday
  const age = now.ms % DAY_MS - then.ms
  return at - (age < -1000 ? age + DAY_MS : Math.max(0, age))
}

const fsms: Readonly<Record<string, BgpFsm>> = { Idle: 'idle', Down: 'idle', Connect: 'connect', Active: 'active', OpenSent: 'open-sent', OpenConfirm: 'open-confirm', Established: 'established', Close: 'clearing' }

/** Of `show protocols all`; protocols other than BGP, and templates of dynamic neighbours, are none. */
export function birdNeighbours (lines: readonly BirdLine[], { at, server, vrf }: { readonly at: number, readonly server: string | null, readonly vrf: string }): BgpNeighbour[] {
  if (!lines.some(({ code }) => code === 2002) && lines.some(({ code }) => code === 1002)) throw refused('answered without a heading', lines[0]?.text ?? '')
  const found: BgpNeighbour[] = []
  let row: { readonly state: string, readonly since: string } | null = null
  let details = new Map<string, string>()
  let prefixes = 0
  const ends = (): void => {
    const [address, state] = [details.get('Neighbor address'), details.get('BGP state')]
    if (row !== null && address !== undefined && state !== undefined) {
      const [as, localAs] = [Number(details.get('Neighbor AS')), Number(details.get('Local AS'))]
      found.push(neighbour({
        source: 'bird', vrf: details.get('VRF') ?? vrf, peer: peerText(address), local: localText(details.get('Source address')), remoteAs: Number.isFinite(as) ? as : null, localAs: Number.isFinite(localAs) ? localAs : null,
        established: state === 'Established', fsm: fsms[state] ?? null, adminDown: row.state === 'down', since: birdMoment(row.since, server, at),
        reason: details.get('Last error') ?? null, description: details.get('Description') ?? null, prefixesReceived: state === 'Established' ? prefixes : 0
      }))
    }
    row = null
  }
  for (const { code, text } of lines) {
    if (code === 1002) {
      ends()
      // name, protocol, table, state, since (one word or two), and information that is said again below
      const [, proto, state, since] = /^\S+\s+(\S+)\s+\S+\s+(\S+)\s+(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S*|\S+)/.exec(text) ?? []
      row = proto === 'BGP' && state !== undefined && since !== undefined ? { state, since } : null
      details = new Map()
      prefixes = 0
    } else if (code === 1006 && row !== null) {
      const [, key, value] = /^\s*([A-Za-z][A-Za-z ]*?):\s+(.+?)\s*$/.exec(text) ?? []
      if (key === undefined || value === undefined) continue
      if (key === 'Routes') prefixes += Number(/^(\d+) imported/.exec(value)?.[1] ?? 0)
      else if (!details.has(key)) details.set(key, value)
    }
  }
  ends()
  return collected(found)
}
