/** Sessions of VPP's NAT and those of the session table: two nodes with models of VPP, whatever happens to roles and lives, come to have the same. */
import t from 'tap'
import { layout, limits } from '../../../../src/generated/layout.js'
import { loadCore } from '../../../../src/native/load.js'
import { recordBytes, rowOf } from '../../../../src/native/records.js'
import { haKeyOf, type HaEvent } from '../../../../src/backend/vpp/nat/ha-wire.js'
import { NatMirror } from '../../../../src/backend/vpp/nat/mirror.js'
import { deletionOf, eventOf, idOf, recordOf } from '../../../../src/backend/vpp/nat/session.js'
import { natTable, type Held, type NatTable } from '../../../../src/backend/vpp/nat/table.js'
import { Random } from '../../../simulation/random.js'

const session = (n: number, o: Partial<HaEvent> = {}): HaEvent => ({
  kind: 'add', protocol: 17, static: false, insideAddress: '10.10.1.10', insidePort: 1000 + n, outsideAddress: '10.10.2.100', outsidePort: 20_000 + n,
  externalAddress: '10.10.2.2', externalPort: 53, externalNatAddress: '10.10.2.2', externalNatPort: 53, fibIndex: 0, packets: 0, bytes: 0n, ...o
})
/** As VPP tells of an end: by the outside alone. */
const ended = (event: HaEvent): HaEvent => ({ ...event, kind: 'delete', insideAddress: '0.0.0.0', insidePort: 0, externalAddress: '0.0.0.0', externalPort: 0, externalNatAddress: '0.0.0.0', externalNatPort: 0 })
const id = { origin: 7n, serial: 9n }

t.test('a session as a record: packets one way and the other, and back', async (t) => {
  for (const event of [session(1, { packets: 12, bytes: 3400n }), session(2, { protocol: 6, static: true }), session(3, { protocol: 1, externalPort: 0, externalNatPort: 0 }), session(4, { protocol: 47, insidePort: 0, outsidePort: 0, externalPort: 0, externalNatPort: 0 })]) {
    const record = recordOf(event, id, 3)
    const view = new DataView(record.buffer)
    t.same(eventOf(view, 0), event)
    t.same(idOf(view, 0), id)
    const row = rowOf(view, 0, () => 0)
    t.match(row, { rg: 3, source: event.insideAddress, destination: event.externalAddress, replySource: event.externalAddress, replyDestination: event.outsideAddress, replyDestinationPort: event.outsidePort })
    t.same(row.flags.filter(flag => flag !== 'static'), ['snat', 'program'])
    const deletion = deletionOf(event, id, 3)
    t.same(deletion.subarray(0, 16), record.subarray(layout.ls_wire_record.id.offset, layout.ls_wire_record.id.offset + 16))
    t.equal(deletion[layout.ls_wire_delete.reason.offset], 3)
  }
  const echo = rowOf(new DataView(recordOf(session(5, { protocol: 1, externalPort: 0 }), id, 0).buffer), 0, () => 0)
  t.match(echo, { sourcePort: 1005, destinationPort: 0, replySourcePort: 0, replyDestinationPort: 20_005 }, 'an identifier is the source of a request and the destination of a reply')
})

t.test('a real table: opened as ours and told, the same again is the same session, ended, and read in slices', async (t) => {
  const table = new (loadCore().Table)({ capacity: 4096, cpus: 0, threads: 1, arena: 0, hugepages: 0, path: '' })
  t.teardown(() => { table.close() })
  table.feed(true)
  const nat = natTable(table, 2)
  const held = Array.from({ length: 2000 }, (_, n): Held => ({ id: { origin: 5n, serial: BigInt(n + 1) }, event: session(n) }))
  t.same(nat.open(held), [])
  const told = new Uint8Array(4096 * recordBytes)
  t.equal(table.drain(told).records, 2000)
  t.equal((await nat.all()).length, 2000)
  t.same(nat.touch([{ id: { origin: 5n, serial: 1n }, event: session(0, { packets: 9 }) }]), [])
  t.equal(nat.touch([{ id: { origin: 6n, serial: 1n }, event: session(0) }]).length, 1, 'another')
  t.equal(nat.open([{ id: { origin: 6n, serial: 1n }, event: session(0) }]).length, 1, 'its tuple is taken by another')
  t.equal(table.drain(told).records, 0, 'none of this is told')
  t.equal((await nat.all()).find(({ event }) => event.insidePort === 1000)?.event.packets, 9)
  await nat.end(held.slice(0, 1500))
  t.equal((await nat.all()).length, 500)
  t.equal((await natTable(table, 1).all()).length, 0, 'of another group')
  const before = nat.version()
  await nat.clear()
  t.equal(nat.version(), before, 'nothing of another group was there')
  t.ok(nat.owns(), 'a table without a peer owns everything')
  table.setRole(2, limits.LS_ROLE_STANDBY, 1n, 0n)
  t.notOk(nat.owns())
  await natTable(table, 1).clear()
  t.equal((await nat.all()).length, 0)
})

/** A VPP: what is put in and taken out, and that it says what it does itself. */
class Vpp {
  sessions = new Map<string, HaEvent>()
  answers = true
  constructor (readonly tell: (events: readonly HaEvent[]) => void) {}
  open (event: HaEvent): void {
    if ([...this.sessions.values()].some(one => one.insidePort === event.insidePort && one.protocol === event.protocol)) return
    this.sessions.set(haKeyOf(event), event)
    this.tell([event])
  }

  end (event: HaEvent): void { if (this.sessions.delete(haKeyOf(event))) this.tell([ended(event)]) }
  inject (events: readonly HaEvent[]): void {
    for (const event of events) {
      if (event.kind === 'delete') this.sessions.delete(haKeyOf(event))
      else if (![...this.sessions.values()].some(one => one.insidePort === event.insidePort && one.protocol === event.protocol)) this.sessions.set(haKeyOf(event), event)
    }
  }
}

class Node {
  owner = false
  readonly rows = new Map<string, Held>()
  readonly vpp = new Vpp((events) => { this.mirror.told(events) })
  /** The owner's changes go to the other's table. */
  peer: Node | null = null
  private serial = 0n
  /** Put in and not answered yet. */
  private pending = 0
  readonly mirror: NatMirror

  constructor (origin: bigint) {
    const table: NatTable = {
      owns: () => this.owner,
      all: async () => { await Promise.resolve(); return [...this.rows.values()] },
      version: () => `${++this.serial}`,
      open: (held) => {
        for (const one of held) for (const node of [this, this.peer]) node?.rows.set(`${one.id.origin} ${one.id.serial}`, one)
        return []
      },
      touch: held => held.filter(({ id }) => !this.rows.has(`${id.origin} ${id.serial}`)),
      clear: async () => { await Promise.resolve() },
      end: async (held) => {
        await Promise.resolve()
        for (const { id } of held) for (const node of [this, this.peer]) node?.rows.delete(`${id.origin} ${id.serial}`)
      }
    }
    this.mirror = new NatMirror({
      table, newId: () => ({ origin, serial: ++this.serial }), idle: () => this.pending === 0,
      read: async () => { await Promise.resolve(); return [...this.vpp.sessions.values()] },
      inject: (events) => {
        if (this.vpp.answers) this.vpp.inject(events)
        else {
          this.pending++
          setImmediate(() => { setImmediate(() => { this.pending--; this.mirror.doubt() }) })
        }
        return events.length
      }
    })
  }

  get translations (): string[] { return [...this.vpp.sessions.values()].map(event => `${haKeyOf(event)} ${event.insidePort}`).sort() }
  get table (): string[] { return [...this.rows.values()].map(({ event }) => `${haKeyOf(event)} ${event.insidePort}`).sort() }
}

t.test('two nodes: what the owner has the other has, through deaths of VPP, moves and silence', async (t) => {
  const seed = Number(process.env['SEED'] ?? 20_261_122)
  t.comment(`SEED=${seed}`)
  for (let round = 0; round < 60; round++) {
    const random = new Random(seed + round)
    const nodes: [Node, Node] = [new Node(1n), new Node(2n)]
    nodes[0].peer = nodes[1]
    nodes[1].peer = nodes[0]
    nodes[0].owner = true
    for (const { mirror } of nodes) await mirror.pass()
    const settle = async (): Promise<void> => {
      for (let i = 0; i < 6; i++) {
        for (const { mirror } of nodes) await mirror.pass()
        await new Promise((resolve) => { setImmediate(resolve) })
      }
    }
    await settle()
    for (let step = 0; step < 120; step++) {
      const owner = nodes.find(node => node.owner)
      const standby = nodes.find(node => !node.owner)
      if (owner === undefined || standby === undefined) throw new Error('one owns')
      const one = session(random.below(40), { outsidePort: 20_000 + random.below(60), protocol: [6, 17][random.below(2)] ?? 6 })
      const act = random.below(20)
      if (act < 10) owner.vpp.open(one)
      else if (act < 14) [...owner.vpp.sessions.values()].slice(0, 1 + random.below(3)).forEach((event) => { owner.vpp.end(event) })
      else if (act < 16) for (const { mirror } of nodes) await mirror.pass()
      else if (act === 16) {
        await settle() // a planned move waits until both are equal
        ;[owner.owner, standby.owner] = [false, true]
      } else if (act === 17) {
        await settle()
        const victim = nodes[random.below(2)] ?? owner
        victim.vpp.sessions.clear()
        victim.mirror.doubt(true)
        await victim.mirror.pass()
      } else if (act === 18) standby.vpp.answers = !standby.vpp.answers
      else if (standby.vpp.sessions.size > 0) standby.vpp.end([...standby.vpp.sessions.values()][0] ?? one) // idle there
    }
    for (const { vpp } of nodes) vpp.answers = true
    await settle()
    const owner = nodes.find(node => node.owner)
    if (owner === undefined) throw new Error('one owns')
    const texts = nodes.flatMap(({ translations, table }) => [translations, table].map(all => all.join()))
    if (new Set(texts).size > 1) {
      t.fail(`round ${round} (seed ${seed + round}): ${JSON.stringify(nodes.map(({ owner, translations, table }) => ({ owner, vpp: translations.length, table: table.length, onlyVpp: translations.filter(one => !table.includes(one)), onlyTable: table.filter(one => !translations.includes(one)) })))}`)
      return
    }
  }
  t.pass('60 rounds')
})

t.test('a VPP that was restarted and translated anew before it had its sessions: the ports of before are used again', async (t) => {
  const node = new Node(1n)
  node.owner = true
  await node.mirror.pass()
  node.vpp.open(session(1))
  await node.mirror.pass()
  node.vpp.sessions.clear()
  const hasty = session(1, { outsidePort: 4711 })
  node.vpp.sessions.set(haKeyOf(hasty), hasty)
  node.mirror.doubt(true)
  await node.mirror.pass()
  t.same(node.translations, ['17 10.10.2.100:20001 1001'])
  t.same(node.table, node.translations)
})

t.test('an agent that was restarted beside a VPP that lived on: VPP is right about what both have', async (t) => {
  const node = new Node(1n)
  node.owner = true
  node.rows.set('9 1', { id: { origin: 9n, serial: 1n }, event: session(1) })
  const moved = session(2, { outsidePort: 20_001 }) // the port is another's by now
  node.vpp.sessions.set(haKeyOf(moved), moved)
  await node.mirror.pass()
  t.same([...node.rows.values()].map(({ event }) => event.insidePort), [1002])
})

t.test('what an operator ends in the table ends in VPP as well; what VPP ends while it is being asked stays ended', async (t) => {
  const node = new Node(1n)
  node.owner = true
  await node.mirror.pass()
  for (const n of [1, 2, 3]) node.vpp.open(session(n))
  await node.mirror.pass()
  node.rows.delete([...node.rows.keys()][0] ?? '')
  node.mirror.told([session(1, { kind: 'refresh', packets: 5 })])
  await node.mirror.pass()
  t.same(node.translations, ['17 10.10.2.100:20002 1002', '17 10.10.2.100:20003 1003'])
  node.mirror.doubt()
  node.vpp.end(session(2))
  await node.mirror.pass()
  t.same([node.translations, node.table], [['17 10.10.2.100:20003 1003'], ['17 10.10.2.100:20003 1003']])
})

t.test('a standby that takes over: the table is right about what changed in the last second; what the new owner opened itself stays', async (t) => {
  const [a, b] = [new Node(1n), new Node(2n)]
  ;[a.peer, b.peer, a.owner] = [b, a, true]
  for (const { mirror } of [a, b]) await mirror.pass()
  a.vpp.open(session(1))
  for (const { mirror } of [a, b]) await mirror.pass()
  a.vpp.end(session(1))
  a.vpp.open(session(1, { outsidePort: 6000 }))
  await a.mirror.pass()
  ;[a.owner, b.owner] = [false, true]
  b.vpp.open(session(7))
  await b.mirror.pass()
  t.same(b.translations, ['17 10.10.2.100:20007 1007', '17 10.10.2.100:6000 1001'])
  t.same(b.table, b.translations)
})
