/** Counters of VIPs and reals: which routes are looked up, and what numbers that begin anew come to. */
import t from 'tap'
import type { NativeVppStats } from '../../../../src/native/binding.js'
import type { VppClient } from '../../../../src/backend/vpp/client.js'
import { Increments, LbCounters, type Counted } from '../../../../src/backend/vpp/lb/counters.js'

t.test('what shrank began anew', (t) => {
  const it = new Increments()
  it.keep(new Map([['vip 1', [5, 50]]]))
  t.same(it.of('vip 1', [7, 70]), [2, 20])
  t.same(it.of('vip 1', [3, 80]), [3, 10])
  t.same(it.of('vip 2', [9, 9]), [0, 0], 'from here on')
  t.end()
})

t.test('a look at a route stops packets: what is known is not looked up again, unless it may have changed', async (t) => {
  const asked: string[] = []
  const indexes = new Map([['192.0.2.1/32', 4], ['10.0.0.2/32', 5]])
  const client: Pick<VppClient, 'call'> = {
    call: (async (_: string, { prefix }: { readonly prefix: string }) => {
      await Promise.resolve()
      asked.push(prefix)
      const stats_index = indexes.get(prefix)
      if (stats_index === undefined) throw new Error('no such route')
      return { route: { stats_index } }
    }) as unknown as VppClient['call']
  }
  const packets = new Map([[4, 0], [5, 0]])
  const stats = { counters: (names: readonly string[], index: number) => names.length === 1 ? [packets.get(index) ?? NaN, (packets.get(index) ?? NaN) * 100] : [NaN, NaN, 0, 0, NaN, NaN, NaN, NaN] } as unknown as NativeVppStats
  const it = new LbCounters(client as VppClient, stats)
  const counted: Counted = { vips: [{ id: 1, indexes: [1], prefix: '192.0.2.1/32', alone: true }], reals: [{ id: 2, address: '10.0.0.2' }, { id: 3, address: '10.0.0.3' }] }
  const asks = async (...what: Parameters<LbCounters['count']>): Promise<string[]> => {
    await it.count(...what)
    return asked.splice(0).sort()
  }
  t.same(await asks(counted, new Set()), ['10.0.0.2/32', '10.0.0.3/32', '192.0.2.1/32'])
  t.same(await asks(counted, new Set()), [], 'a route that is not there is known as well')
  packets.set(5, 3)
  t.same(it.read(), { vips: [[1, [0, 0, 0, 0]]], reals: [[2, [3, 300, 0, 0]], [3, [0, 0, 0, 0]]] })
  indexes.set('10.0.0.3/32', 6)
  packets.set(6, 40)
  t.same(await asks(counted, new Set(['10.0.0.3/32'])), ['10.0.0.3/32'], 'one that was made')
  packets.set(6, 41)
  t.same(it.read().reals, [[2, [0, 0, 0, 0]], [3, [41, 4100, 0, 0]]], 'it had carried nothing when it was counted first')
  t.same(await asks(counted, 'all'), ['10.0.0.2/32', '10.0.0.3/32', '192.0.2.1/32'])
  t.same(await asks({ ...counted, reals: [] }, new Set()), [])
  t.same(await asks(counted, new Set()), ['10.0.0.2/32', '10.0.0.3/32'], 'what was not counted meanwhile')
})
