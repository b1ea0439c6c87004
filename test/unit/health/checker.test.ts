/** The checker against a clock of the test: who is probed when, what a late answer does, and that no timer is left. */
import t from 'tap'
import type { CheckTarget, HealthCheck, HealthTransition, ProbeOutcome } from '../../../src/contract/health.js'
import { Checker, type Probe } from '../../../src/health/checker.js'
import { DueHeap } from '../../../src/health/due.js'
import { Random } from '../../simulation/random.js'

const check: HealthCheck = {
  name: 'web', type: 'tcp', port: 80, intervalMs: 1000, fastIntervalMs: 100, downIntervalMs: 500, timeoutMs: 300, rise: 2, fall: 3, jitterPct: 0, netns: null, source: { v4: null, v6: null },
  tls: null, http: null, dns: null, grpcService: null, argv: null, agent: null, passive: 0
}
const target = (n: number, more: Partial<HealthCheck> = {}): CheckTarget => ({ id: `${more.name ?? check.name}/192.0.2.${n}:80`, check: { ...check, ...more }, address: `192.0.2.${n}`, port: 80 })
const ok: ProbeOutcome = { ok: true, code: 'ok', detail: '', tookMs: 1 }
const refused: ProbeOutcome = { ok: false, code: 'refused', detail: 'connect ECONNREFUSED', tookMs: 1 }

/** A clock, and a network in which each probe waits for the test. */
class Rig {
  nowMs = 0
  readonly transitions: Array<{ readonly id: string } & HealthTransition> = []
  readonly shares: string[] = []
  readonly probes: Array<{ readonly atMs: number, readonly id: string }> = []
  /** What each address answers at once; absent: nothing, ever. */
  readonly answers = new Map<string, ProbeOutcome>()
  readonly open = new Map<string, (outcome: ProbeOutcome) => void>()
  cancelled = 0
  private timers: Array<{ readonly at: number, readonly run: () => void }> = []
  readonly checker: Checker

  constructor (chance = 0) {
    const probe: Probe = (target, done) => {
      const { id } = target
      this.probes.push({ atMs: this.nowMs, id })
      const answer = this.answers.get(target.address)
      if (answer !== undefined) done(answer)
      else this.open.set(id, done)
      return () => { this.cancelled++ }
    }
    this.checker = new Checker({
      probe, now: () => this.nowMs, wall: () => 1e12 + this.nowMs, random: () => chance,
      after: (ms, run) => {
        const timer = { at: this.nowMs + ms, run }
        this.timers.push(timer)
        return () => { this.timers = this.timers.filter(other => other !== timer) }
      },
      onTransition: (id, transition) => { this.transitions.push({ id, ...transition }) },
      onShare: (id, sharePct) => { this.shares.push(`${id} ${sharePct}`) }
    })
  }

  get waiting (): number { return this.timers.length }

  until (ms: number): void {
    for (;;) {
      const next = this.timers.sort((a, b) => a.at - b.at)[0]
      if (next === undefined || next.at > ms) break
      this.timers.shift()
      this.nowMs = Math.max(this.nowMs, next.at)
      next.run()
    }
    this.nowMs = ms
  }

  state (n: number): string | undefined { return this.checker.status().find(s => s.address === `192.0.2.${n}`)?.state }
}

t.test('a target comes up with its first probe and goes within fall probes of the fast interval', async t => {
  const rig = new Rig()
  rig.answers.set('192.0.2.1', ok)
  rig.checker.replace([target(1)])
  rig.until(0)
  t.equal(rig.state(1), 'up')
  rig.until(5000)
  t.equal(rig.probes.length, 6, 'once a second')
  rig.answers.set('192.0.2.1', refused)
  rig.until(6500)
  t.same(rig.transitions.map(x => [x.from, x.to, x.code, x.at - 1e12]), [['unknown', 'up', 'ok', 0], ['up', 'down', 'refused', 6200]])
  t.same(rig.probes.slice(6).map(p => p.atMs), [6000, 6100, 6200], 'and every half second once it is down')
  rig.until(6700)
  t.equal(rig.probes.at(-1)?.atMs, 6700)
})

t.test('H94 no answer in time is a failure, the probe is ended, and what it says later is not heard', async t => {
  const rig = new Rig()
  rig.checker.replace([target(1)])
  rig.until(0)
  const late = rig.open.get('web/192.0.2.1:80')
  rig.until(299)
  t.equal(rig.state(1), 'unknown')
  rig.until(300)
  t.equal(rig.state(1), 'down')
  t.equal(rig.cancelled, 1)
  late?.(ok)
  const [status] = rig.checker.status()
  t.match(status, { state: 'down', passed: 0, failed: 1, results: { timeout: 1 }, changes: [{ from: 'unknown', to: 'down', count: 1 }], last: { code: 'timeout' } })
  t.equal(status?.tookMs, status?.last?.tookMs)
})

t.test('H93 a target of two services is probed once', async t => {
  const rig = new Rig()
  rig.checker.replace([target(1), target(1), target(1, { name: 'other' })])
  rig.until(0)
  t.same(rig.probes.map(p => p.id), ['web/192.0.2.1:80', 'other/192.0.2.1:80'])
})

t.test('who stays keeps state and turn; who goes is not heard of again', async t => {
  const rig = new Rig()
  rig.answers.set('192.0.2.1', ok)
  rig.checker.replace([target(1), target(2)])
  rig.until(50)
  const gone = rig.open.get('web/192.0.2.2:80')
  rig.checker.replace([target(1, { fall: 1 })])
  t.equal(rig.cancelled, 1)
  gone?.(ok)
  rig.until(900)
  t.same(rig.probes.filter(p => p.id.includes('192.0.2.1:')).map(p => p.atMs), [0])
  rig.answers.set('192.0.2.1', refused)
  rig.until(1000)
  t.equal(rig.state(1), 'down', 'by the new threshold')
  t.same(rig.checker.status().map(s => s.address), ['192.0.2.1'])
})

t.test('paused: nobody probes; resumed: at once, and it is unknown', async t => {
  const rig = new Rig()
  rig.answers.set('192.0.2.1', ok)
  rig.checker.replace([target(1)])
  rig.until(100)
  t.ok(rig.checker.operate('web/192.0.2.1:80', 'pause'))
  rig.until(9000)
  t.equal(rig.probes.length, 1)
  t.ok(rig.checker.operate('web/192.0.2.1:80', 'resume'))
  rig.until(9000)
  t.equal(rig.state(1), 'up')
  t.same(rig.transitions.map(x => `${x.from} ${x.to} ${x.code}`), ['unknown up ok', 'up paused operator', 'paused unknown operator', 'unknown up ok'])
  t.notOk(rig.checker.operate('web/192.0.2.9:80', 'pause'), 'there is no such target')
})

t.test('H90 what was known before a restart holds until a probe says otherwise', async t => {
  const rig = new Rig(0.5)
  rig.answers.set('192.0.2.1', refused)
  rig.checker.replace([target(1), target(2)], { states: new Map([['web/192.0.2.1:80', 'up'], ['web/192.0.2.2:80', 'disabled']]), shares: new Map() })
  t.equal(rig.state(1), 'up')
  rig.until(499)
  t.equal(rig.probes.length, 0, 'spread over an interval')
  rig.until(600)
  t.equal(rig.state(1), 'up', 'two failures are not three')
  rig.until(700)
  t.equal(rig.state(1), 'down')
  t.equal(rig.state(2), 'disabled')
  t.same(rig.checker.status().map(({ id, state }) => `${id} ${state}`), ['web/192.0.2.1:80 down', 'web/192.0.2.2:80 disabled'])
})

t.test('sessions that say it does not serve are failed probes, and a probe that passes meanwhile is no word against them', async t => {
  const rig = new Rig()
  rig.answers.set('192.0.2.1', ok)
  rig.checker.replace([target(1)], { states: new Map([['web/192.0.2.1:80', 'up']]), shares: new Map() })
  const count = (): number | undefined => rig.checker.status()[0]?.count
  rig.until(500)
  t.equal(count(), 4)
  rig.checker.observed('web/192.0.2.1:80', '10 flows')
  t.equal(count(), 3)
  rig.until(1000)
  t.same([rig.probes.length, count()], [2, 3], 'it passed')
  rig.until(1100)
  t.same([rig.probes.length, count()], [3, 4], 'and passed once more')
  rig.checker.observed('web/192.0.2.1:80', '10 flows')
  for (let i = 0; i < 2; i++) rig.checker.observed('web/192.0.2.1:80', '10 flows')
  t.match(rig.transitions.at(-1), { from: 'up', to: 'down', code: 'sessions', detail: '10 flows' })
  rig.checker.operate('web/192.0.2.1:80', 'pause')
  rig.checker.observed('web/192.0.2.1:80', '10 flows')
  rig.checker.observed('web/192.0.2.9:80', '10 flows')
  t.equal(rig.state(1), 'paused')
})

t.test('what an agent says holds until it says something else, or there is no agent any more', async t => {
  const rig = new Rig()
  const asked = target(1, { agent: { port: 9, send: '' } })
  rig.answers.set('192.0.2.1', { ...ok, sharePct: 40 })
  rig.checker.replace([asked], { states: new Map([['web/192.0.2.1:80', 'up']]), shares: new Map([['web/192.0.2.1:80', 25]]) })
  t.equal(rig.checker.status()[0]?.sharePct, 25, 'of an earlier life')
  rig.until(1000)
  rig.answers.set('192.0.2.1', ok)
  rig.until(3000)
  t.same(rig.shares, ['web/192.0.2.1:80 40'], 'once, and silence changes nothing')
  rig.checker.replace([target(1)])
  t.same(rig.shares.slice(1), ['web/192.0.2.1:80 100'])
})

t.test('closed: probes are ended and no timer is left', async t => {
  const rig = new Rig()
  rig.checker.replace([1, 2, 3].map(n => target(n)))
  rig.until(10)
  rig.checker.close()
  t.equal(rig.cancelled, 3)
  t.equal(rig.waiting, 0)
  for (const done of rig.open.values()) done(ok)
  t.equal(rig.waiting, 0)
  t.same(rig.transitions, [])
})

t.test('the heap gives out what was put in, by time', async t => {
  const random = new Random(7)
  const heap = new DueHeap<number>()
  const times = Array.from({ length: 2000 }, () => random.below(1000))
  for (const at of times) heap.push(at, at)
  const out: number[] = []
  for (let at = heap.pop(1000); at !== null; at = heap.pop(1000)) out.push(at)
  t.same(out, [...times].sort((a, b) => a - b))
  heap.push(5, 5)
  t.equal(heap.pop(4), null)
  t.equal(heap.next, 5)
})
