/**
 * GoBGP 3: its gRPC API. ListPeer is what is read; WatchEvent tells at once that there is something to read. Its own counter of sessions that ended stays at zero,
 * so there is none here: they show in the moments of sessions.
 */
import { Metadata } from '@grpc/grpc-js'
import type { BgpFsm, BgpNeighbour } from '../../contract/bgp.js'
import { LockstepError } from '../../contract/errors.js'
import type { ListPeerResponse, Peer, WatchEventResponse } from '../../generated/proto/apipb/gobgp.js'
import { answered, gobgpClient } from '../gobgp-client.js'
import { collected, neighbour, type Provider } from './provider.js'
import { localText, peerText } from './text.js'

const ESTABLISHED = 6
/** Then 2: all that there is has been told, and 3: one that changed. */
const EVENT = { init: 1 } as const
const PEERS_MAX = 1 << 17
/** After a stream that ended. */
const AGAIN_MS = { first: 250, most: 5000 } as const

const fsms: Readonly<Record<number, BgpFsm>> = { 1: 'idle', 2: 'connect', 3: 'active', 4: 'open-sent', 5: 'open-confirm', 6: 'established' }

export interface GobgpOptions { readonly name: string, readonly address: string, readonly vrf: string | null }

export function gobgpProvider ({ name, address, vrf }: GobgpOptions): Provider {
  return {
    source: 'gobgp', scope: name,
    read: async (signal) => {
      const peers: Peer[] = []
      const one = gobgpClient(address)
      try {
        await answered<ListPeerResponse>(address, one.listPeer({ address: '' }, new Metadata()), signal, ({ peer }) => {
          if (peers.length === PEERS_MAX) throw new LockstepError('unavailable', 'LS_G_REPLY', 'too many peers', { object: address, expected: `at most ${PEERS_MAX}` })
          if (peer !== undefined) peers.push(peer)
        })
      } finally {
        one.close()
      }
      return [{ source: 'gobgp', scope: name, at: Date.now(), ok: true, neighbours: collected(peers.flatMap(peer => gobgpNeighbour(peer, vrf))) }]
    },
    follow: (told) => {
      const over = new AbortController()
      let pauseMs: number = AGAIN_MS.first
      let timer: NodeJS.Timeout | null = null
      const begin = async (): Promise<void> => {
        const one = gobgpClient(address)
        try {
          await answered<WatchEventResponse>(address, one.watchEvent({ peer: {} }, new Metadata()), over.signal, ({ peer: event }) => {
            // what there is at the beginning is read once, when all of it has been told
            if (event === undefined || event.type === EVENT.init) return
            pauseMs = AGAIN_MS.first
            told(null)
          })
        } catch { /* what is read says why */ } finally {
          one.close()
        }
        if (over.signal.aborted) return
        told(null)
        timer = setTimeout(() => { void begin() }, pauseMs)
        pauseMs = Math.min(2 * pauseMs, AGAIN_MS.most)
      }
      void begin()
      return () => {
        over.abort()
        if (timer !== null) clearTimeout(timer)
      }
    }
  }
}

const addressOf = ({ conf, state }: Peer): string => [state?.neighborAddress, conf?.neighborAddress].find(text => text !== undefined && text !== '') ?? ''

/** None of a peer that has no address yet. */
export function gobgpNeighbour (peer: Peer, vrf: string | null): BgpNeighbour[] {
  const { conf, state, timers, transport, afiSafis } = peer
  const address = addressOf(peer)
  if (address === '' || state === undefined) return []
  const established = state.sessionState === ESTABLISHED
  // both stay when the other one comes: each holds for its own state alone
  const since = established ? timers?.state?.uptime : timers?.state?.downtime
  const named = conf?.vrf ?? ''
  return [neighbour({
    source: 'gobgp', vrf: named === '' ? vrf ?? 'default' : named, peer: peerText(address), local: localText(transport?.localAddress), remoteAs: state.peerAsn || conf?.peerAsn || null, localAs: conf?.localAsn ?? null,
    established, fsm: fsms[state.sessionState] ?? null, adminDown: state.adminState === 1, since: since?.getTime() ?? null,
    description: conf === undefined || conf.description === '' ? null : conf.description, prefixesReceived: afiSafis.length === 0 ? null : afiSafis.reduce((sum, { state: one }) => sum + Number(one?.received ?? 0n), 0)
  })]
}
