/** Monitors: what is down adds up by group; scripts end, hang, flood and leave children behind, and nothing of them stays. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync, chmodSync, existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { ClusterGroup, Monitor } from '../../../src/contract/cluster.js'
import { startMonitors, type GroupMonitors, type MonitorFacts } from '../../../src/ha/monitors.js'
import { until } from '../../until.js'

const group = (rg: number, ...monitors: Monitor[]): ClusterGroup => ({ rg, priority: { a: 100, b: 90 }, preempt: false, monitors })
const script = (argv: readonly string[], over: { readonly name?: string, readonly weight?: number, readonly intervalMs?: number, readonly timeoutMs?: number } = {}): Monitor =>
  ({ name: 's', weight: 10, kind: 'script', argv, intervalMs: 50, timeoutMs: 10_000, ...over })
const sh = (text: string): readonly string[] => ['/bin/sh', '-c', text]

class Rig {
  readonly down = new Set<string>()
  readonly told: Array<readonly [number, GroupMonitors]> = []
  readonly facts: MonitorFacts = { interfaceUp: name => !this.down.has(name), neighbourResolved: address => !this.down.has(address) }
  readonly monitors

  constructor (t: Test, groups: readonly ClusterGroup[]) {
    this.monitors = startMonitors(groups, this.facts, (rg, result) => { this.told.push([rg, result]) })
    t.teardown(() => { this.monitors.close() })
  }

  last (rg: number): GroupMonitors { return this.told.findLast(([of]) => of === rg)?.[1] ?? { lostWeight: 0, down: [] } }
}

/** A folder that a script run as nobody can write to. */
function folder (t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'ls-monitors-'))
  chmodSync(path, 0o777)
  t.teardown(() => { rmSync(path, { recursive: true, force: true }) })
  return path
}

/** Alive, and not merely unreaped. */
function alive (pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
const pidsIn = (path: string): number[] => existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean).map(Number) : []

t.test('interfaces and neighbours: weights add up, each group for itself, and only changes are told', async t => {
  const rig = new Rig(t, [
    group(0, { name: 'lan', weight: 60, kind: 'interface', interface: 'eth0' }, { name: 'up', weight: 30, kind: 'neighbour', address: '192.0.2.1' }),
    group(1, { name: 'lan', weight: 20, kind: 'interface', interface: 'eth0' })
  ])
  t.same(rig.told, [], 'nothing is down')
  rig.down.add('192.0.2.1')
  await until('the neighbour is missed', () => rig.told.length === 1)
  t.same(rig.told[0], [0, { lostWeight: 30, down: ['up'] }])
  rig.down.add('eth0')
  await until('the link is missed', () => rig.told.length === 3)
  t.same(rig.told.slice(1), [[0, { lostWeight: 90, down: ['lan', 'up'] }], [1, { lostWeight: 20, down: ['lan'] }]])
  rig.down.clear()
  await until('both are back', () => rig.told.length === 5)
  t.same(rig.told.slice(3), [[0, { lostWeight: 0, down: [] }], [1, { lostWeight: 0, down: [] }]])
})

t.test('a group that is no longer there, or has fewer monitors, is told at once', async t => {
  const lan: Monitor = { name: 'lan', weight: 60, kind: 'interface', interface: 'eth0' }
  const rig = new Rig(t, [])
  rig.down.add('eth0')
  rig.monitors.replace([group(0, lan), group(1, lan)])
  t.same(rig.told, [[0, { lostWeight: 60, down: ['lan'] }], [1, { lostWeight: 60, down: ['lan'] }]])
  rig.monitors.replace([group(0)])
  t.same(rig.told.slice(2), [[0, { lostWeight: 0, down: [] }], [1, { lostWeight: 0, down: [] }]])
  rig.monitors.close()
  rig.down.clear()
  t.equal(rig.told.length, 4)
})

t.test('a script is down by its exit code, a signal, or because it cannot be run, and up again', async t => {
  const flag = join(folder(t), 'well')
  const rig = new Rig(t, [
    group(0, script(sh(`test -e ${flag}`))), group(1, script(['/no/such/program'])), group(2, script(sh('kill -9 $$'))), group(3, script(['/bin/sh\0'])), group(4, script(['/bin/true']))
  ])
  await until('all four are down', () => [0, 1, 2, 3].every(rg => rig.last(rg).lostWeight === 10))
  t.equal(rig.last(4).lostWeight, 0)
  writeFileSync(flag, '')
  await until('the first is up', () => rig.last(0).lostWeight === 0)
})

t.test('a script that hangs is down at its timeout, and killed with its children; never two of one at a time', async t => {
  const pids = join(folder(t), 'pids')
  writeFileSync(pids, '')
  chmodSync(pids, 0o666)
  const rig = new Rig(t, [group(0, script(sh(`echo $$ >> ${pids}; sleep 600 & echo $! >> ${pids}; trap '' TERM; wait; sleep 600`), { intervalMs: 50, timeoutMs: 1000 }))])
  let most = 0
  await until('a third run', () => {
    most = Math.max(most, pidsIn(pids).filter((pid, i) => i % 2 === 0 && alive(pid)).length)
    return pidsIn(pids).length >= 6
  })
  t.equal(most, 1, 'one at a time')
  t.same(rig.last(0), { lostWeight: 10, down: ['s'] })
  t.same(pidsIn(pids).slice(0, 4).filter(alive), [], 'of the first two runs nothing is left')
  rig.monitors.close()
  await until('nothing of the last run is left', () => !pidsIn(pids).some(alive))
})

t.test('what a script leaves behind when it ends goes with it, and it is well', async t => {
  const pids = join(folder(t), 'pids')
  const rig = new Rig(t, [group(0, script(sh(`sleep 600 & echo $! >> ${pids}`), { intervalMs: 100_000 }))])
  await until('it ran', () => pidsIn(pids).length === 1)
  await until('its child is gone', () => !pidsIn(pids).some(alive))
  t.same(rig.told, [])
})

t.test('a script may write as much as it likes, to any end of it', async t => {
  const done = join(folder(t), 'done')
  const rig = new Rig(t, [group(0, script(sh(`head -c 200000000 /dev/zero; head -c 200000000 /dev/zero >&2; cat && touch ${done}`), { intervalMs: 100_000 }))])
  await until('it has written all, and read nothing', () => existsSync(done))
  t.same(rig.told, [])
})

t.test('a script has no privileges, no environment of ours and a folder that nobody needs', { skip: process.getuid?.() === 0 ? false : 'needs root' }, async t => {
  process.env['LS_SECRET'] = 'x'
  t.teardown(() => { delete process.env['LS_SECRET'] })
  const out = join(folder(t), 'out')
  new Rig(t, [group(0, script(sh(`{ id -u; id -g; id -G; pwd; env | grep -c SECRET; grep CapEff /proc/self/status; } > ${out}.part; mv ${out}.part ${out}`), { intervalMs: 100_000 }))])
  await until('it has told', () => existsSync(out))
  t.match(readFileSync(out, 'utf8'), /^65534\n65534\n65534\n\/\n0\nCapEff:\s*0000000000000000\n$/)
})

t.test('a script whose monitor stays as it is goes on through a change of the configuration; another one is killed', async t => {
  const dir = folder(t)
  const [one, two] = [join(dir, 'one'), join(dir, 'two')]
  const stays = script(sh(`echo $$ >> ${one}; exec sleep 600`), { name: 'one', timeoutMs: 100_000 })
  const changes = (weight: number): Monitor => script(sh(`echo $$ >> ${two}; exec sleep 600`), { name: 'two', timeoutMs: 100_000, weight })
  const rig = new Rig(t, [group(0, stays, changes(1))])
  await until('both run', () => pidsIn(one).length === 1 && pidsIn(two).length === 1)
  rig.monitors.replace([group(0, changes(2), stays)])
  await until('the second runs anew', () => pidsIn(two).length === 2)
  await until('and only once', () => !alive(pidsIn(two)[0] ?? 0))
  t.same(pidsIn(one).map(alive), [true])
  rig.monitors.close()
  await until('both are gone', () => ![...pidsIn(one), ...pidsIn(two)].some(alive))
})
