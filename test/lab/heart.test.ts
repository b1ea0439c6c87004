/** Two hearts of this process, each with a table and packet workers of its own, over two paths on loopback; one path is cut, an agent goes and comes back. */
import { createSocket } from 'node:dgram'
import t, { type Test } from 'tap'
import { openHeart, type HeartLink } from '../../src/ha/heart/link.js'
import type { HeartSpec } from '../../src/ha/heart/word.js'
import type { NodeStatus, RgStatus, Role } from '../../src/ha/rg.js'
import { limits } from '../../src/generated/layout.js'
import { monotonicMs } from '../../src/lib/monotonic.js'
import { loadCore } from '../../src/native/load.js'
import { until } from '../until.js'

const core = loadCore()
/** Long leases: this machine may be busy. */
const timing = { intervalMs: 50, count: 10 }
const key = new Uint8Array(32).fill(7)
const hosts = [['127.0.0.1', '127.0.0.2'], ['127.0.0.3', '127.0.0.4']] as const

async function freePort (): Promise<number> {
  const socket = createSocket('udp4')
  await new Promise<void>(resolve => { socket.bind(0, '127.0.0.1', resolve) })
  const { port } = socket.address()
  await new Promise<void>(resolve => { socket.close(() => { resolve() }) })
  return port
}

/** Gives up after ten seconds. */
function openNode (t: Test, name: string, index: number, ports: readonly number[]) {
  const table = new core.Table({ capacity: 1024, cpus: 0, threads: 1, arena: 0, hugepages: 0, path: '' })
  const workers = new core.Userspace(table, 1)
  workers.start()
  const heartName = `-lab-${process.pid}-${name}`
  let heart: InstanceType<typeof core.Heart> | null = new core.Heart(table, heartName)
  const log = { hellos: [] as Array<{ bootId: string, resumed: boolean, adopted: ReadonlyArray<{ rg: number, epoch: bigint }> }>, lapsed: [] as number[][], problems: [] as string[], gone: 0, heard: new Map<string, NodeStatus>(), answers: [] as Array<{ turn: number, awakeSinceMs: number }> }
  const dial = (): HeartLink => openHeart(heartName, {
    onHello: (bootId, resumed, adopted) => { log.hellos.push({ bootId, resumed, adopted }) },
    onHeard: (path, status) => { log.heard.set(path, status) },
    onLapsed: (rgs) => { log.lapsed.push(rgs) },
    onAnswer: (turn, awakeSinceMs) => { log.answers.push({ turn, awakeSinceMs }) },
    onProblem: (text) => { log.problems.push(text) },
    onGone: () => { log.gone++ }
  })
  const spec = (cut = false): HeartSpec => ({
    nodeIndex: index, timing, key,
    paths: hosts.map((both, i) => ({
      name: `path${i}`, local: { address: both[index] ?? '', port: ports[2 * i + index] ?? 0 },
      remote: { address: both[1 - index] ?? '', port: cut && i === 1 ? 9 : ports[2 * i + 1 - index] ?? 0 }
    }))
  })
  const status = (role: Role, epoch: bigint): NodeStatus => {
    const rg: RgStatus = { rg: 0, role, epoch, priority: 100, ready: true, reasons: [], synced: true, holds: [], asks: false, pinned: false, gaveWay: 0n }
    return { node: name, nodeIndex: index, bootId: '', seq: 0n, generation: 4n, agent: 'present', restartHoldMs: null, rgs: [rg] }
  }
  const setRole = (role: number, epoch: bigint, deadline: bigint): void => { table.setRole(0, role, epoch, deadline) }
  t.teardown(() => {
    heart?.close()
    workers.close()
    table.close()
  })
  return {
    log, dial, spec, status, setRole, heartName,
    second: () => { new core.Heart(table, heartName).close() },
    /** A new life. */
    reborn: () => {
      heart?.close()
      heart = new core.Heart(table, heartName)
    }
  }
}

t.test('two nodes hear each other through their hearts, with and without their agents', async (t) => {
  const ports = [await freePort(), await freePort(), await freePort(), await freePort()]
  const [a, b] = [openNode(t, 'a', 0, ports), openNode(t, 'b', 1, ports)]
  const soon = (): bigint => process.hrtime.bigint() + 2_000_000_000n
  let [ofA, ofB] = [a.dial(), b.dial()]
  t.teardown(() => {
    ofA.close()
    ofB.close()
  })
  a.setRole(limits.LS_ROLE_OWNER, 0x100n, soon())
  b.setRole(limits.LS_ROLE_STANDBY, 0x100n, 0n)
  ofA.setup(a.spec())
  ofA.say(a.status('owner', 0x100n))
  ofB.setup(b.spec())
  ofB.say(b.status('standby', 0x100n))
  await until('both paths', () => a.log.heard.size === 2 && b.log.heard.size === 2)
  t.match(b.log.heard.get('path1'), { node: 'a', nodeIndex: 0, generation: 4n, agent: 'present', restartHoldMs: null, rgs: [{ rg: 0, role: 'owner', epoch: 0x100n, priority: 100 }] })
  t.equal(b.log.heard.get('path0')?.bootId, a.log.hellos[0]?.bootId)
  t.match(a.log.hellos, [{ resumed: false, adopted: [] }])

  // One path is cut: its heartbeats end, the other's go on.
  const seq = (path: string): bigint => a.log.heard.get(path)?.seq ?? 0n
  ofB.setup(b.spec(true))
  await until('the second path is silent', () => seq('path0') >= seq('path1') + 5n)
  ofB.setup(b.spec())
  await until('the second path again', () => seq('path1') === seq('path0'))

  // An agent goes without a word. Its heart says so and keeps the lease.
  ofA.close()
  await until('a is away', () => b.log.heard.get('path0')?.agent === 'away')
  t.match(b.log.heard.get('path0'), { rgs: [{ role: 'owner' }] })
  ofA = a.dial()
  await until('a is back', () => a.log.hellos.length === 2)
  t.match(a.log.hellos[1], { bootId: a.log.hellos[0]?.bootId, resumed: true, adopted: [{ rg: 0, epoch: 0x100n }] })
  t.same(a.log.lapsed, [], 'the lease did not end')
  ofA.setup(a.spec())
  ofA.say(a.status('owner', 0x100n))
  await until('b hears that', () => b.log.heard.get('path0')?.agent === 'present')

  // It asks what it missed: the heart was awake since it was set up.
  const askedAtMs = monotonicMs()
  ofA.ask(7)
  await until('the answer', () => a.log.answers.length > 0)
  t.equal(a.log.answers[0]?.turn, 7)
  t.ok((a.log.answers[0]?.awakeSinceMs ?? Infinity) < askedAtMs, `awake since ${a.log.answers[0]?.awakeSinceMs}, asked at ${askedAtMs}`)

  // A lease that has ended.
  a.setRole(limits.LS_ROLE_OWNER, 0x100n, 1n)
  await until('the lapse', () => a.log.lapsed.length > 0)
  t.same(a.log.lapsed, [[0]])
  await until('b hears of it', () => b.log.heard.get('path0')?.rgs[0]?.role === 'hold')
  t.same(b.log.heard.get('path0')?.rgs[0]?.holds, ['resigned'])

  // b takes over, its agent goes, and a owns in a newer epoch: b's heart lets go.
  b.setRole(limits.LS_ROLE_OWNER, 0x201n, soon())
  ofB.say(b.status('owner', 0x201n))
  await until('b owns', () => a.log.heard.get('path0')?.rgs[0]?.role === 'owner')
  ofB.close()
  await until('b is away', () => a.log.heard.get('path0')?.agent === 'away')
  a.setRole(limits.LS_ROLE_OWNER, 0x300n, soon())
  ofA.say(a.status('owner', 0x300n))
  await until('b lets go', () => a.log.heard.get('path0')?.rgs[0]?.role === 'hold')
  ofB = b.dial()
  await until('b is back', () => b.log.hellos.length === 2)
  t.match(b.log.hellos[1], { resumed: true, adopted: [] })

  // A heart that ends and starts anew is told again what was said.
  a.reborn()
  await until('the new heart', () => a.log.hellos.length === 3)
  t.equal(a.log.gone, 1)
  t.equal(a.log.hellos[2]?.resumed, false)
  t.not(a.log.hellos[2]?.bootId, a.log.hellos[0]?.bootId)
  ofB.setup(b.spec())
  ofB.say(b.status('standby', 0x300n))
  await until('b hears the new life', () => b.log.heard.get('path0')?.bootId === a.log.hellos[2]?.bootId)

  ofA.resign()
  ofA.close()
  await until('a resigned', () => b.log.heard.get('path0')?.rgs[0]?.role === 'hold')
  t.same([...a.log.problems, ...b.log.problems], [])
})

t.test('what a peer says wrongly is told once and throws nothing', async (t) => {
  const ports = [await freePort(), await freePort(), await freePort(), await freePort()]
  const [a, b] = [openNode(t, 'a', 0, ports), openNode(t, 'b', 1, ports)]
  const [ofA, ofB] = [a.dial(), b.dial()]
  t.teardown(() => {
    ofA.close()
    ofB.close()
  })
  ofA.setup(a.spec())
  ofA.say(a.status('standby', 0n))
  ofB.setup(b.spec())
  const twice = b.status('standby', 0n)
  ofB.say({ ...twice, rgs: [...twice.rgs, ...twice.rgs] })
  await until('a problem', () => a.log.problems.length > 0)
  ofB.say(twice)
  await until('what is right', () => a.log.heard.size === 2)
  t.equal(a.log.problems.length, 1)
  t.match(a.log.problems[0], /node 1 cannot be read: group 0/)
  t.throws(() => { a.second() }, { code: 'LS_E_BUSY' })
  t.equal(core.connectHeart(`${a.heartName}-none`), -1)
})
