/** Sessions of NAT44-ED, read in intervals: what comes and goes in VPP, what an operator ends, and whose node they are. */
import t from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import type { VppClient } from '../../../../src/backend/vpp/client.js'
import { EdSessions } from '../../../../src/backend/vpp/nat/ed.js'
import type { Held, NatTable } from '../../../../src/backend/vpp/nat/table.js'

interface Row { readonly port: number, readonly to?: string, readonly timedOut?: boolean, readonly twice?: string }

class Rig {
  rows: Row[] = []
  enabled = true
  owner = true
  readonly deleted: number[] = []
  readonly table = new Map<string, Held>()
  readonly told: string[] = []
  readonly it: EdSessions
  constructor () {
    const key = ({ id: { origin, serial } }: Held): string => `${origin} ${serial}`
    const table: NatTable = {
      owns: () => this.owner, version: () => '', all: async () => await Promise.resolve([...this.table.values()]), clear: async () => { await Promise.resolve() }, touch: () => [],
      open: (held) => { for (const one of held) this.table.set(key(one), one); return [] },
      end: async (held) => { await Promise.resolve(); for (const one of held) this.table.delete(key(one)) }
    }
    this.it = new EdSessions({ settings: { redundancyGroup: 0, intervalMs: 20 }, table, tell: (_, fields) => { this.told.push(String(fields['reason'])) }, onBegun: () => undefined })
  }

  get client (): VppClient {
    const call = async (key: string, asked: { readonly port: number }): Promise<unknown> => {
      await Promise.resolve()
      if (key !== 'nat44_del_session_15a5bf8c') return { sessions: this.enabled ? 1000 : 0 }
      this.deleted.push(asked.port)
      this.rows = this.rows.filter(({ port }) => port !== asked.port)
      return {}
    }
    const dump = async (key: string): Promise<unknown[]> => {
      await Promise.resolve()
      if (key === 'nat44_user_dump_51077d14') return [{ vrf_id: 0, ip_address: '10.0.0.1' }, { vrf_id: 0, ip_address: '10.0.0.1' }, { vrf_id: 7, ip_address: '10.0.0.9' }]
      return this.rows.map(({ port, to = '192.0.2.1', timedOut = false, twice = '0.0.0.0' }) => ({
        outside_ip_address: '198.51.100.1', outside_port: 40_000, inside_ip_address: '10.0.0.1', inside_port: port, protocol: 6, flags: 0, last_heard: 0n, time_since_last_heard: 0n, total_bytes: 10n, total_pkts: 1,
        ext_host_address: to, ext_host_port: 443, ext_host_nat_address: twice, ext_host_nat_port: 443, is_timed_out: timedOut
      }))
    }
    return { call, dump } as unknown as VppClient
  }

  get ports (): number[] { return [...this.table.values()].map(({ event }) => event.insidePort).sort((a, b) => a - b) }
}

t.test('what VPP has, for whoever owns', async (t) => {
  const rig = new Rig()
  t.teardown(() => { rig.it.down() })
  rig.rows = [{ port: 1 }, { port: 2 }, { port: 2, to: '192.0.2.2' }, { port: 3, timedOut: true }, { port: 4, twice: '203.0.113.1' }]
  await rig.it.up(rig.client)
  t.same(rig.ports, [1, 2, 2, 4], 'one outside for two hosts is two sessions; what has timed out is none')
  t.match([...rig.table.values()].find(({ event }) => event.insidePort === 4)?.event, { externalAddress: '192.0.2.1', externalNatAddress: '203.0.113.1' })
  const until = async (what: string, holds: () => boolean): Promise<void> => { for (let i = 0; !holds(); i++) { if (i === 200) throw new Error(`never: ${what}`); await sleep(10) } }
  rig.rows = [{ port: 1 }, { port: 5 }]
  await until('follows', () => rig.ports.join() === '1,5')
  for (const [key, { event }] of rig.table) if (event.insidePort === 1) rig.table.delete(key)
  await until('an operator ended it', () => rig.deleted.join() === '1')
  rig.rows.push({ port: 1 })
  await until('opened again by packets', () => rig.ports.join() === '1,5')
  rig.owner = false
  await sleep(50)
  rig.table.clear()
  rig.rows.push({ port: 6 })
  await sleep(60)
  t.same([rig.ports, rig.deleted], [[], [1]], 'not of this node: nothing is put, and nothing is ended')
  rig.enabled = false
  rig.owner = true
  await until('told', () => rig.told.length === 1)
  t.match(rig.it.degraded(), [/not shown: LS_V_NAT_OFF/])
})
