/**
 * Routes that GoBGP announces. Of a prefix of ours the daemon's own route is ours, whoever made it: it has one only. Routes of neighbours and of zebra are left alone. The next
 * hop is this host.
 */
import { Metadata } from '@grpc/grpc-js'
import type { BgpAnnounceGobgp } from '../../contract/bgp-announce.js'
import {
  CommunitiesAttribute, IPAddressPrefix, MpReachNLRIAttribute, NextHopAttribute, OriginAttribute,
  type AddPathResponse, type DeletePathResponse, type Family, type GobgpApiClient, type ListPathResponse, type Path
} from '../../generated/proto/apipb/gobgp.js'
import type { Any } from '../../generated/proto/google/protobuf/any.js'
import { formatAddress, networkOf, parseAddress, parsePrefix } from '../../lib/address.js'
import { answered, asked, gobgpClient } from '../gobgp-client.js'
import type { Place } from './place.js'

const GLOBAL = 0
const UNICAST = 1
const families: ReadonlyMap<4 | 6, Family> = new Map([[4, { afi: 1, safi: UNICAST }], [6, { afi: 2, safi: UNICAST }]])
/** Prefixes in one question. */
const ASK_MAX = 1000

interface Message<T> { readonly encode: (message: T) => { readonly finish: () => Uint8Array } }
const any = <T>(name: string, type: Message<T>, message: T): Any => ({ typeUrl: `type.googleapis.com/apipb.${name}`, value: Buffer.from(type.encode(message).finish()) })
const COMMUNITIES = 'type.googleapis.com/apipb.CommunitiesAttribute'

export const gobgpPaths = ({ address, communities }: BgpAnnounceGobgp): Place => ({
  name: `gobgp ${address}`, kind: 'gobgp',
  put: async (wanted, known, signal) => {
    const client = gobgpClient(address)
    try {
      const there = await ours(client, address, [...new Set([...wanted, ...known])], signal)
      const of = new Set(wanted)
      let [added, removed] = [0, 0]
      for (const prefix of there.keys()) {
        if (of.has(prefix)) continue
        const { path, family } = pathTo(prefix, communities)
        await asked<DeletePathResponse>(address, signal, done => client.deletePath({ tableType: GLOBAL, family, path }, new Metadata(), done))
        removed++
      }
      for (const prefix of of) {
        if (there.get(prefix) === communities.join(' ')) continue
        await asked<AddPathResponse>(address, signal, done => client.addPath({ tableType: GLOBAL, path: pathTo(prefix, communities).path }, new Metadata(), done))
        added++
      }
      return { added, removed }
    } finally {
      client.close()
    }
  },
})

/** Communities of the daemon's own routes, by prefix. */
async function ours (client: GobgpApiClient, address: string, prefixes: readonly string[], signal: AbortSignal): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const [family, message] of families) {
    const asking = prefixes.filter(prefix => prefix.includes(':') === (family === 6))
    for (let at = 0; at < asking.length; at += ASK_MAX) {
      const some = asking.slice(at, at + ASK_MAX).map(prefix => ({ prefix, type: 0 }))
      await answered<ListPathResponse>(address, client.listPath({ tableType: GLOBAL, family: message, prefixes: some }, new Metadata()), signal, ({ destination }) => {
        const path = destination?.paths.find(({ neighborIp, isFromExternal }) => !isFromExternal && parseAddress(neighborIp) === null)
        if (destination !== undefined && path !== undefined) found.set(destination.prefix, communitiesOf(path))
      })
    }
  }
  return found
}

const communitiesOf = ({ pattrs }: Path): string => pattrs.filter(({ typeUrl }) => typeUrl === COMMUNITIES).flatMap(({ value }) => CommunitiesAttribute.decode(value).communities).join(' ')

function pathTo (text: string, communities: readonly number[]): { readonly path: Path, readonly family: Family | undefined } {
  const prefix = parsePrefix(text)
  if (prefix === null) throw new TypeError(`not a prefix: ${text}`)
  const family = families.get(prefix.family)
  const nlri = any('IPAddressPrefix', IPAddressPrefix, { prefix: formatAddress(networkOf(prefix)), prefixLen: prefix.length })
  const hop = prefix.family === 4 ? any('NextHopAttribute', NextHopAttribute, { nextHop: '0.0.0.0' }) : any('MpReachNLRIAttribute', MpReachNLRIAttribute, { family, nextHops: ['::'], nlris: [nlri] })
  const pattrs = [any('OriginAttribute', OriginAttribute, { origin: 0 }), hop, ...communities.length === 0 ? [] : [any('CommunitiesAttribute', CommunitiesAttribute, { communities: [...communities] })]]
  return { family, path: { nlri, pattrs, family, isFromExternal: false, neighborIp: '' } }
}
