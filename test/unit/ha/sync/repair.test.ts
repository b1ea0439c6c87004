/** Which way a standby is repaired: by what it costs. Two real engines and tables, frames carried at once. */
import t, { type Test } from 'tap'
import { limits } from '../../../../src/generated/layout.js'
import { SyncEngine, type Connection } from '../../../../src/ha/sync/engine.js'
import { loadCore } from '../../../../src/native/load.js'
import { recordBytes } from '../../../../src/native/records.js'
import { records } from '../../../../bench/api/filled-table.js'

const SESSIONS = 20_000
const capacity = 65_536

interface Node { readonly engine: SyncEngine, readonly install: (from: number, n: number) => void, readonly settle: () => void, readonly close: () => void }

interface Pair { readonly owner: Node, readonly standby: Node, readonly connect: () => void, readonly run: () => void }

function pair (t: Test): Pair {
  let now = 1000
  const node = (name: string, owner: boolean): Node => {
    const core = loadCore()
    const table = new core.Table({ capacity, cpus: 0, threads: 1, arena: 64, hugepages: 0, path: '' })
    table.setRole(0, owner ? limits.LS_ROLE_OWNER : limits.LS_ROLE_STANDBY, 256n, 0xffff_ffff_ffff_ffffn)
    const replica = new core.Replica(table)
    const engine = new SyncEngine({
      world: { replica, nowMs: () => now, random: (n) => new Uint8Array(n).fill(7), event: () => { /* seen by status */ } },
      self: { node: name, table: new Uint8Array(16), generation: 1, ids: new Uint8Array(4), capacity }, slots: table.info().slots
    })
    engine.own(owner ? 1 : 0, Array.from({ length: limits.LS_RGS_MAX }, () => 256n))
    return {
      engine, settle: () => { replica.settle() },
      install: (from, count) => {
        for (let at = from; at < from + count; at += 1000) replica.apply(limits.LS_FRAME_UPSERTS, 0, records(at, 1000), recordBytes, 1000, false)
      },
      close: () => {
        replica.close()
        table.close()
      }
    }
  }
  const [owner, standby] = [node('owner', true), node('standby', false)]
  owner.install(0, SESSIONS)
  t.teardown(() => {
    owner.close()
    standby.close()
  })
  const inboxes: Array<() => void> = []
  const half = (from: Node, to: () => readonly [Node, Connection]): Connection => ({
    send: (frame) => { inboxes.push(() => { to()[0].engine.receivedBytes(to()[1], frame) }) }, close: () => { t.fail(`${from === owner ? 'the owner' : 'the standby'} closed`) }
  })
  const a: Connection = half(owner, () => [standby, b])
  const b: Connection = half(standby, () => [owner, a])
  return {
    owner, standby,
    connect: () => {
      owner.engine.connected(a)
      standby.engine.connected(b)
    },
    /** Ten seconds. */
    run: () => {
      for (let i = 0; i < 1000; i++) {
        now += 10
        owner.engine.tick()
        standby.engine.tick()
        while (inboxes.length > 0) for (const deliver of inboxes.splice(0)) deliver()
      }
      standby.settle()
    }
  }
}

for (const { extra, bulks, way } of [{ extra: 1000, bulks: 0, way: 'by its differences' }, { extra: 10_000, bulks: 1, way: 'whole' }]) {
  t.test(`a copy of ${SESSIONS} sessions that has ${extra} too many is repaired ${way}`, async (t) => {
    const { standby, connect, run } = pair(t)
    standby.install(0, SESSIONS + extra)
    run()
    connect()
    run()
    const { received, groups } = standby.engine.status()
    t.equal(groups[0]?.state, 'equal')
    t.equal(groups[0]?.items, SESSIONS)
    t.equal(received.bulks, bulks)
    t.equal(received.repairs, 1 - bulks)
  })
}

for (const { each, bulks, way } of [{ each: 1000, bulks: 0, way: 'by its differences' }, { each: 3000, bulks: 1, way: 'whole' }]) {
  t.test(`a copy that lacks ${each} and has ${each} others, so that the numbers are the same, is repaired ${way}`, async (t) => {
    const { standby, connect, run } = pair(t)
    standby.install(each, SESSIONS)
    run()
    connect()
    run()
    const { received, groups } = standby.engine.status()
    t.equal(groups[0]?.state, 'equal')
    t.equal(groups[0]?.items, SESSIONS)
    t.equal(received.bulks, bulks)
    t.equal(received.repairs, 1 - bulks)
  })
}

t.test('how many sessions the owner has is known while both stay equal: a standby without room for them was once not ready for ever', async (t) => {
  const { owner, standby, connect, run } = pair(t)
  standby.install(0, SESSIONS)
  run()
  connect()
  run()
  owner.install(SESSIONS, 1000)
  standby.install(SESSIONS, 1000)
  run()
  const [group] = standby.engine.status().groups
  t.match(group, { state: 'equal', items: SESSIONS + 1000 })
})

t.test('a group is sent whole when it is asked for, whatever the cuts say', async (t) => {
  const { standby, connect, run } = pair(t)
  standby.install(0, SESSIONS)
  run()
  connect()
  run()
  t.equal(standby.engine.status().received.bulks, 0)
  standby.engine.bulk(0)
  run()
  t.equal(standby.engine.status().received.bulks, 1)
  t.equal(standby.engine.status().groups[0]?.state, 'equal')
})
