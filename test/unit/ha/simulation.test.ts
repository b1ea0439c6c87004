/** Ownership under random partitions, crashes, restarts, hangs and commands: what must never happen does not. */
import t from 'tap'
import { Network, contestedBoundMs, unownedBoundMs } from './network.js'

const seed = Number(process.env['LOCKSTEP_TEST_SEED'] ?? Date.now() % 1_000_000_007)
const seeds = Array.from({ length: 200 }, (_, i) => seed + i)

t.test(`200 seeds of 2000 steps: one owner an epoch, epochs rise, no group is left alone (LOCKSTEP_TEST_SEED=${seed})`, async (t) => {
  let longest = 0
  const failures = seeds.flatMap((s) => {
    try {
      longest = Math.max(longest, new Network(s).run({ steps: 2000 }).nowMs)
      return []
    } catch (error) {
      return [`LOCKSTEP_TEST_SEED=${s}: ${error instanceof Error ? error.message : String(error)}`]
    }
  })
  t.same(failures, [])
  t.ok(longest > unownedBoundMs, 'the bound can be met within a run')
})

t.test(`both heartbeat paths cut for 30 s and healed: exactly one owner within the bound (LOCKSTEP_TEST_SEED=${seed})`, async (t) => {
  for (const s of seeds.slice(0, 10)) {
    // A fifth lost would now and then be a silence of its own.
    const net = new Network(s, { nodes: 2, chaos: false, witness: false, loss: 0.05 })
    net.run({ untilMs: 15_000 })
    for (const rg of net.rgs) t.equal(net.owners(rg).length, 1, `seed ${s} rg ${rg}: one owner before`)
    net.partition(true)
    net.run({ untilMs: 45_000 })
    for (const rg of net.rgs) t.equal(net.owners(rg).length, 2, `seed ${s} rg ${rg}: both survive`)
    net.partition(false)
    net.run({ untilMs: 45_000 + contestedBoundMs })
    for (const rg of net.rgs) t.equal(net.owners(rg).length, 1, `seed ${s} rg ${rg}: one owner after`)
  }
})

t.test(`in a calm minute nothing changes and no lease ends (LOCKSTEP_TEST_SEED=${seed})`, async (t) => {
  for (const s of seeds.slice(0, 10)) {
    const net = new Network(s, { loss: 0, chaos: false })
    net.run({ untilMs: 20_000 })
    const before = net.describe().replace(/ at .*/, '')
    const { lapses } = net
    net.run({ untilMs: 80_000 })
    t.equal(net.describe().replace(/ at .*/, ''), before, `seed ${s}`)
    t.equal(net.lapses, lapses)
  }
})

t.test(`with a witness that both lose, both resign, and one owns after healing (LOCKSTEP_TEST_SEED=${seed})`, async (t) => {
  for (const s of seeds.slice(0, 5)) {
    const net = new Network(s, { nodes: 2, chaos: false, witness: true })
    net.run({ untilMs: 15_000 })
    net.partition(true)
    net.setWitness(false)
    net.run({ untilMs: 20_000 })
    for (const rg of net.rgs) t.equal(net.owners(rg).length, 0, `seed ${s} rg ${rg}: nobody owns when both are cut off`)
    net.setWitness(true)
    net.partition(false)
    net.run({ untilMs: 24_000 })
    for (const rg of net.rgs) t.equal(net.owners(rg).length, 1, `seed ${s} rg ${rg}: one owner after`)
  }
})

t.test(`after any history, a healed pair has one owner of each group (LOCKSTEP_TEST_SEED=${seed})`, async (t) => {
  for (const s of seeds.slice(0, 20)) {
    const net = new Network(s, { nodes: 2, chaosSteps: 1000 })
    net.run({ steps: 1000 })
    net.heal()
    net.run({ untilMs: net.nowMs + 2 * unownedBoundMs })
    for (const rg of net.rgs) {
      const owners = net.owners(rg)
      t.equal(owners.length, 1, `seed ${s} rg ${rg}; ${net.describe()}`)
      t.equal(owners[0]?.planes[rg]?.epoch, net.known(rg), `seed ${s} rg ${rg}: its epoch is the highest that anybody knows`)
    }
  }
})
