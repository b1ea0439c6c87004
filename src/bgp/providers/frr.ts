/**
 * FRR: the vty socket of bgpd, which vtysh uses too. A question is a command and a zero byte; an answer ends with three zero bytes and a code (0 done, 1 with a
 * warning, 2 no such command). The summary has one block for each VRF and address family, so one session may stand there several times.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { BgpFsm, BgpNeighbour } from '../../contract/bgp.js'
import { LockstepError } from '../../contract/errors.js'
import { converse } from './converse.js'
import { collected, neighbour, type Provider } from './provider.js'
import { localText, peerText } from './text.js'

const SUMMARY = 'show bgp vrf all summary json'
const DETAILS = 'show bgp vrf all neighbors json'
/** Of one answer: a neighbour is less than 1 kB of a summary, and 4 kB with its details. */
export const FRR_BYTES_MAX = 32 << 20
/** Details of more neighbours are not asked for: they are long, and the kernel tells the round trip better. */
const DETAILS_MAX = 1000

type Json = Readonly<Record<string, unknown>>
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)
const text = (value: unknown): string | null => typeof value === 'string' && value !== '' ? value : null
const number = (value: unknown): number | null => typeof value === 'number' && Number.isFinite(value) ? value : null

const fsms: Readonly<Record<string, BgpFsm>> = { idle: 'idle', connect: 'connect', active: 'active', opensent: 'open-sent', openconfirm: 'open-confirm', established: 'established', clearing: 'clearing', deleted: 'deleted' }
/** Without what stands behind it: `Idle (Admin)`. */
const fsmOf = (state: string | null): BgpFsm | null => fsms[(state ?? '').replace(/ \(.*/, '').toLowerCase()] ?? null

const malformed = (what: string, found: string): LockstepError => new LockstepError('unavailable', 'LS_G_REPLY', what, { object: 'bgpd', found: found.slice(0, 200) })

export function frrProvider ({ name, socket, vrf }: { readonly name: string, readonly socket: string, readonly vrf: string | null }): Provider {
  return {
    source: 'frr', scope: name, follow: null,
    read: async signal => await converse(socket, signal, FRR_BYTES_MAX, async ({ say, hear }) => {
      const ask = async (command: string): Promise<unknown> => {
        say(`${command}\0`)
        const answer = frrAnswer(await hear(frrWhole))
        await nextTurn() // of thousands of neighbours each step takes tens of milliseconds
        return answer
      }
      const summary = frrSummary(await ask(SUMMARY), Date.now())
      const whole = summary.length === 0 || summary.length > DETAILS_MAX ? summary : frrDetails(summary, await ask(DETAILS))
      return [{ source: 'frr', scope: name, at: Date.now(), ok: true, neighbours: vrf === null ? whole : whole.map(n => n.vrf === 'default' ? { ...n, vrf } : n) }]
    })
  }
}

/** JSON has no zero bytes. */
export const frrWhole = (end: Buffer): boolean => end.length >= 4 && end.readUIntBE(end.length - 4, 3) === 0

/** @throws unavailable LS_G_REPLY: it is no answer, or says that there is none */
export function frrAnswer (answer: Buffer): unknown {
  const body = answer.toString('utf8', 0, answer.length - 4)
  const code = answer[answer.length - 1] ?? 0
  if (code > 1) throw malformed('refused the question', body.trim() === '' ? `code ${code}` : body.trim())
  try {
    return JSON.parse(body) as unknown
  } catch (error) {
    throw malformed('did not answer with JSON', error instanceof Error ? error.message : body)
  }
}

/** Of `show bgp [vrf all] summary json`, each session once. */
export function frrSummary (answer: unknown, at: number): BgpNeighbour[] {
  if (!isObject(answer)) throw malformed('did not answer with an object', JSON.stringify(answer))
  const blocks = (of: Json, vrf: string): Array<readonly [string, Json]> => Object.values(of).flatMap((one): Array<readonly [string, Json]> =>
    !isObject(one) ? [] : isObject(one['peers']) ? [[text(one['vrfName']) ?? vrf, one['peers']]] : [])
  // one VRF has its families at the top, all of them have them below their names
  const found = [...blocks(answer, 'default'), ...Object.entries(answer).flatMap(([vrf, of]) => isObject(of) && !isObject(of['peers']) ? blocks(of, vrf) : [])]
  return collected(found.flatMap(([vrf, peers]) => Object.entries(peers).flatMap(([peer, row]) => isObject(row) ? [summaryRow(vrf, peer, row, at)] : [])))
}

function summaryRow (vrf: string, peer: string, row: Json, at: number): BgpNeighbour {
  const state = text(row['state'])
  const [uptimeMs, epoch] = [number(row['peerUptimeMsec']), number(row['peerUptimeEstablishedEpoch'])]
  return neighbour({
    source: 'frr', vrf, peer: peerText(peer), remoteAs: number(row['remoteAs']), localAs: number(row['localAs']), established: state === 'Established', fsm: fsmOf(state),
    adminDown: row['peerState'] === 'Admin' || state === 'Idle (Admin)',
    // both are of the present state, whatever they are called; "never" has no moment
    since: epoch !== null && epoch > 0 ? epoch * 1000 : uptimeMs !== null && uptimeMs > 0 ? at - uptimeMs : null,
    drops: number(row['connectionsDropped']), description: text(row['desc']), prefixesReceived: number(row['pfxRcd'])
  })
}

/** What `show bgp vrf all neighbors json` adds: peers stand there beside `vrfId` and `vrfName`. A session that is named by its interface (unnumbered) keeps that name: its address is told here alone, and not while it is down. */
export function frrDetails (summary: readonly BgpNeighbour[], answer: unknown): BgpNeighbour[] {
  if (!isObject(answer)) throw malformed('did not answer with an object', JSON.stringify(answer))
  const found = new Map<string, Json>()
  for (const [vrf, peers] of Object.entries(answer)) if (isObject(peers)) for (const [peer, details] of Object.entries(peers)) if (isObject(details)) found.set(`${text(peers['vrfName']) ?? vrf}\n${peerText(peer)}`, details)
  return summary.map((n) => {
    const d = found.get(`${n.vrf}\n${n.peer}`)
    if (d === undefined) return n
    const [due, notification, rttMs] = [text(d['lastResetDueTo']), text(d['lastNotificationReason']), number(d['estimatedRttInMsecs'])]
    return neighbour({ ...n, local: localText(text(d['hostLocal']) ?? undefined), reason: due !== null && notification !== null ? `${due}: ${notification}` : due ?? notification, rttNs: n.established && rttMs !== null ? rttMs * 1_000_000 : null })
  })
}
