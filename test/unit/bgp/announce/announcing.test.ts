/** Places are kept as they should be: over failures, changes by others, changes of the configuration and restarts. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Announcing } from '../../../../src/bgp/announce/index.js'
import { Keeping } from '../../../../src/bgp/announce/keeping.js'
import type { Place } from '../../../../src/bgp/announce/place.js'
import type { AnnouncedVip } from '../../../../src/bgp/announce/routes.js'
import type { BgpEvent } from '../../../../src/bgp/events.js'
import type { BgpAnnounceSettings } from '../../../../src/contract/bgp-announce.js'
import { until } from '../../../until.js'

/** A table that others may touch, and that may fail or hang. */
class Table implements Place {
  readonly kind = 'kernel'
  readonly has = new Set<string>()
  broken: string | null = null
  hangs = false
  puts = 0
  constructor (readonly name: string) {}

  async put (wanted: readonly string[], _known: readonly string[], signal: AbortSignal): Promise<{ added: number, removed: number }> {
    this.puts++
    if (this.hangs) await new Promise((_resolve, reject) => { signal.addEventListener('abort', () => { reject(signal.reason as Error) }) })
    if (this.broken !== null) throw new Error(this.broken)
    const added = wanted.filter(prefix => !this.has.has(prefix))
    const removed = [...this.has].filter(prefix => !wanted.includes(prefix))
    for (const prefix of added) this.has.add(prefix)
    for (const prefix of removed) this.has.delete(prefix)
    return await Promise.resolve({ added: added.length, removed: removed.length })
  }
}

const web: AnnouncedVip = { name: 'web', prefix: '192.0.2.1/32', redundancyGroup: 1, domain: 'default', state: 'up' }
const dns: AnnouncedVip = { name: 'dns', prefix: '192.0.2.2/32', redundancyGroup: 2, domain: 'default', state: 'up' }
const settings: BgpAnnounceSettings = { when: 'serving', withdrawAfterMs: 0, kernelTable: 179, gobgp: null }

function world (t: Test, directory = mkdtempSync(join(tmpdir(), 'ls-announce-'))) {
  const [tables, events, problems] = [new Map<string, Table>(), [] as BgpEvent[], [] as unknown[]]
  const table = (name: string): Table => tables.get(name) ?? tables.set(name, new Table(name)).get(name) as Table
  const facts = { vips: [web, dns] as readonly AnnouncedVip[], owned: [1, 2] as readonly number[] }
  const announcing = new Announcing({
    vips: async () => await Promise.resolve(facts.vips), owns: () => rg => facts.owned.includes(rg), netns: '', directory, onEvent: event => { events.push(event) }, onProblem: error => { problems.push(error) },
    places: ({ kernelTable, gobgp }) => [...kernelTable === null ? [] : [table(`kernel table ${kernelTable}`)], ...gobgp === null ? [] : [table(`gobgp ${gobgp.address}`)]]
  })
  t.teardown(async () => {
    await announcing.close(false)
    rmSync(directory, { recursive: true, force: true })
  })
  return { announcing, table, facts, events, problems, directory }
}
const holds = async (table: Table, ...prefixes: string[]): Promise<void> => { await until(`${table.name} has ${prefixes.join(' ')}; it has ${[...table.has].join(' ')}`, () => [...table.has].sort().join() === prefixes.join()) }

t.test('what is wanted follows from what is, and is told', async (t) => {
  const { announcing, table, facts, events } = world(t)
  announcing.configure(settings)
  const kernel = table('kernel table 179')
  await holds(kernel, '192.0.2.1/32', '192.0.2.2/32')
  facts.owned = [2]
  announcing.changed()
  await holds(kernel, '192.0.2.2/32')
  t.match(announcing.routes(), [{ prefix: '192.0.2.1/32', announced: false, reason: 'redundancy group 1 is not owned here' }, { announced: true }])
  facts.vips = [web]
  announcing.changed()
  await holds(kernel)
  t.same(events.map(({ name, object }) => `${name} ${object}`), ['route-announced 192.0.2.1/32', 'route-announced 192.0.2.2/32', 'route-withdrawn 192.0.2.1/32', 'route-withdrawn 192.0.2.2/32'])
  t.match(announcing.sinks(), [{ name: 'kernel table 179', failed: null, added: 2, removed: 2 }])
  facts.owned = [1]
  announcing.changed()
  await holds(kernel, '192.0.2.1/32')
  announcing.configure(null)
  await holds(kernel)
  t.same([announcing.routes(), announcing.sinks()], [[], []])
})

t.test('a place that hangs delays no other; one that fails is tried again, and told once', async (t) => {
  const { announcing, table, events } = world(t)
  const [kernel, gobgp] = [table('kernel table 179'), table('gobgp x')]
  gobgp.hangs = true
  kernel.broken = 'no permission'
  announcing.configure({ ...settings, gobgp: { address: 'x', communities: [] } })
  await until('it was tried again', () => kernel.puts > 2)
  t.same(events.filter(({ object }) => object === kernel.name).map(({ name, fields }) => [name, fields['reason']]), [['routes-failed', 'no permission']])
  t.match(announcing.sinks(), [{ failed: 'no permission', goodAt: null }, { failed: null, goodAt: null }])
  kernel.broken = null
  await holds(kernel, '192.0.2.1/32', '192.0.2.2/32')
  await until('it is told', () => events.some(({ name }) => name === 'routes-placed'))
})

t.test('what others did is put right, and told', async (t) => {
  const table = new Table('x')
  const repaired: number[][] = []
  const keeping = new Keeping(table, new Set(), { onState: () => undefined, onRepaired: (...n) => { repaired.push(n) } }, Math.random, 20)
  keeping.want(['192.0.2.1/32'])
  await holds(table, '192.0.2.1/32')
  table.has.clear()
  table.has.add('192.0.2.9/32')
  await holds(table, '192.0.2.1/32')
  await until('it is told', () => repaired.length > 0)
  t.same(repaired, [[1, 1]])
  await keeping.close(true)
  t.same([...table.has], [])
  keeping.want(['192.0.2.1/32'])
  await new Promise(resolve => setTimeout(resolve, 50))
  t.same([...table.has], [], 'who is closed does nothing more')
})

t.test('a state directory that cannot be written keeps no route', async (t) => {
  const { announcing, table, facts, problems, directory } = world(t)
  rmSync(directory, { recursive: true })
  writeFileSync(directory, 'not a folder')
  announcing.configure(settings)
  await holds(table('kernel table 179'), '192.0.2.1/32', '192.0.2.2/32')
  facts.owned = []
  announcing.changed()
  await holds(table('kernel table 179'))
  t.ok(problems.length > 0, 'it is told')
})

t.test('a change of the table: the old one is emptied, also over a restart, and also when it was the last', async (t) => {
  const first = world(t)
  first.announcing.configure(settings)
  await holds(first.table('kernel table 179'), '192.0.2.1/32', '192.0.2.2/32')
  first.announcing.configure({ ...settings, kernelTable: 180 })
  await holds(first.table('kernel table 180'), '192.0.2.1/32', '192.0.2.2/32')
  t.same([...first.table('kernel table 179').has], [])
  await first.announcing.close(false)
  t.equal(first.table('kernel table 180').has.size, 2, 'what forwards on is announced on')
  t.match(JSON.parse(readFileSync(join(first.directory, 'bgp-announce.json'), 'utf8')), { version: 1, kernelTable: 180, prefixes: ['192.0.2.1/32', '192.0.2.2/32'] })

  const second = world(t, first.directory)
  second.table('kernel table 180').has.add('192.0.2.1/32')
  second.announcing.configure(null)
  await holds(second.table('kernel table 180'))
  await second.announcing.close(true)

  writeFileSync(join(first.directory, 'bgp-announce.json'), '{"version":1,"kernelTable":"x"')
  const third = world(t, first.directory)
  third.announcing.configure(settings)
  await holds(third.table('kernel table 179'), '192.0.2.1/32', '192.0.2.2/32')
  await third.announcing.close(true)
  t.same([...third.table('kernel table 179').has], [], 'a clean end withdraws')
  t.same(third.problems, [])
})
