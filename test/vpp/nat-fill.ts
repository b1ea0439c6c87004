/**
 * Fills a VPP with sessions of NAT44-EI through its listener, from inside its namespace: `node nat-fill.js '{"agent":"10.99.9.2","vpp":"10.99.9.1","port":17101,"users":100,"each":256}'`.
 * Prints one line of JSON: how many were acknowledged, and how long it took.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { HaEndpoint } from '../../src/backend/vpp/nat/ha-endpoint.js'
import type { HaEvent } from '../../src/backend/vpp/nat/ha-wire.js'

export interface NatFillOptions { readonly agent: string, readonly vpp: string, readonly port: number, readonly users: number, readonly each: number }
export interface NatFillFigures { readonly acknowledged: number, readonly tookMs: number }

const pool = (n: number): string => `10.88.${1 + Math.floor(n / 60_000)}.1`

async function fill ({ agent, vpp, port, users, each }: NatFillOptions): Promise<NatFillFigures> {
  const endpoint = await HaEndpoint.open({ address: agent, port: 0, peer: { address: vpp, port }, onEvents: () => undefined, onMissed: () => undefined, onFailed: (failed) => { throw new Error(`VPP did not answer to ${failed.length} datagrams`) }, sender: { batchMax: 33 } })
  const began = performance.now()
  for (let user = 0; user < users; user++) {
    const events = Array.from({ length: each }, (_, k): HaEvent => {
      const n = user * each + k
      return {
        kind: 'add', protocol: 17, static: false, insideAddress: `10.87.${user >> 8}.${user & 255}`, insidePort: 1024 + k, outsideAddress: pool(n), outsidePort: 1024 + n % 60_000,
        externalAddress: '10.86.0.1', externalPort: 53, externalNatAddress: '10.86.0.1', externalNatPort: 53, fibIndex: 0, packets: 0, bytes: 0n
      }
    })
    for (let taken = 0; taken < events.length;) {
      taken += endpoint.inject(events.slice(taken))
      await sleep(0)
    }
  }
  while (!endpoint.sender.idle) await sleep(1)
  const figures = { acknowledged: endpoint.sender.tally.acknowledged, tookMs: performance.now() - began }
  await endpoint.close()
  return figures
}

console.log(JSON.stringify(await fill(JSON.parse(process.argv[2] ?? '{}') as NatFillOptions)))
