/** When announcements leave: rounds, bursts, and the end of both. Time is the test's. */
import t from 'tap'
import { Announcements, burst, roundsMs } from '../../../src/backend/table/announcer.js'

const ROW = 32
const rows = (n: number, mark = 0): Uint8Array => new Uint8Array(n * ROW).fill(mark)

class Rig {
  readonly said: Array<{ readonly rg: number, readonly atMs: number, readonly mark: number | undefined, readonly rows: number }> = []
  unsent = 0
  private nowMs = 7
  private due: Array<{ readonly atMs: number, readonly run: () => void }> = []
  readonly announcements = new Announcements((rg, bytes) => {
    this.said.push({ rg, atMs: this.nowMs - 7, mark: bytes[0], rows: bytes.length / ROW })
    return { sent: bytes.length / ROW - this.unsent, unsent: this.unsent }
  }, {
    nowMs: () => this.nowMs,
    after: (ms, run) => {
      const timer = { atMs: this.nowMs + ms, run }
      this.due.push(timer)
      return () => { this.due = this.due.filter(other => other !== timer) }
    }
  })

  /** Until this many ms after the start. */
  runTo (ms: number): void {
    for (;;) {
      const [first] = this.due.sort((a, b) => a.atMs - b.atMs)
      if (first === undefined || first.atMs > ms + 7) break
      this.due = this.due.filter(other => other !== first)
      this.nowMs = first.atMs
      first.run()
    }
    this.nowMs = ms + 7
  }

  get waiting (): number { return this.due.length }
}

t.test('a group is announced at once and four times more, and then nothing waits', async t => {
  const rig = new Rig()
  rig.announcements.replace({ 0: rows(3, 1), 1: rows(2, 2) })
  rig.announcements.announce(1)
  t.same(rig.said, [{ rg: 1, atMs: 0, mark: 2, rows: 2 }], 'before anything else runs')
  rig.runTo(60_000)
  t.same(rig.said.map(s => s.atMs), roundsMs)
  t.ok(rig.said.every(s => s.rg === 1 && s.rows === 2))
  t.equal(rig.waiting, 0)
})

t.test('a large group goes out in bursts, whole in each round, and rounds do not overlap', async t => {
  const rig = new Rig()
  const n = 20 * burst + 5
  rig.announcements.replace({ 0: rows(n) })
  rig.announcements.announce(0)
  rig.runTo(60_000)
  t.equal(rig.said.reduce((sum, s) => sum + s.rows, 0), roundsMs.length * n)
  t.ok(rig.said.every(s => s.rows <= burst))
  const gaps = rig.said.slice(1).map((s, i) => s.atMs - (rig.said[i]?.atMs ?? 0))
  t.equal(gaps.filter(gap => gap < 10).length, 1, 'the second round was due when the first one ended')
  t.same(rig.said.filter(s => s.rows === 5).map(s => s.atMs), [200, 400, 700, 2200, 5200])
})

t.test('a group that is withdrawn says nothing more, in the middle of a round too; others go on', async t => {
  const rig = new Rig()
  rig.announcements.replace({ 0: rows(3 * burst), 1: rows(1) })
  rig.announcements.announce(0)
  rig.announcements.announce(1)
  rig.runTo(10)
  rig.announcements.withdraw(0)
  rig.runTo(60_000)
  t.equal(rig.said.filter(s => s.rg === 0).length, 2)
  t.equal(rig.said.filter(s => s.rg === 1).length, roundsMs.length)
  rig.announcements.announce(1)
  rig.announcements.announce(0)
  rig.announcements.close()
  t.equal(rig.waiting, 0, 'nothing outlives the dataplane')
})

t.test('a takeover in the middle of another begins anew, and a round says what is in force then', async t => {
  const rig = new Rig()
  rig.announcements.replace({ 0: rows(1, 1) })
  rig.announcements.announce(0)
  rig.runTo(300)
  rig.announcements.announce(0)
  rig.announcements.replace({ 0: rows(2, 9) })
  rig.runTo(60_000)
  t.same(rig.said.map(s => [s.atMs, s.mark]), [[0, 1], [100, 1], [300, 1], [400, 9], [800, 9], [2300, 9], [5300, 9]])
})

t.test('a group without addresses is announced to nobody, and what could not be sent is told until a round goes well', async t => {
  const rig = new Rig()
  rig.announcements.announce(3)
  rig.runTo(10_000)
  t.ok(rig.said.every(s => s.rows === 0))
  t.same(rig.announcements.degraded(), [])
  rig.announcements.replace({ 0: rows(burst + 1) })
  rig.unsent = 1
  rig.announcements.announce(0)
  rig.runTo(10_050)
  t.match(rig.announcements.degraded(), [/^redundancy group 0: 2 of 33 announcements of its addresses could not be sent/])
  rig.unsent = 0
  rig.runTo(30_000)
  t.same(rig.announcements.degraded(), [])
})
