/**
 * Nobody is declared dead who lives: both cores are kept busy and the whole table is exported again and again on both nodes, and no group moves. An agent that was
 * stopped for longer than the detection time declares nobody lost when it goes on (R23). LOCKSTEP_LAB_LONG=1: a million sessions for an hour, or LOCKSTEP_LAB_SECONDS.
 */
import t from 'tap'
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { ebpfSkip } from './instance.js'
import { churning, eventsOf } from './pair-failover.js'
import { openPairLab, type PairLab } from './pair-lab.js'
import { routers } from './pair-topology.js'
import { Background, run } from './shell.js'
import { long, skipReason } from './support.js'

const seconds = Number(process.env['LOCKSTEP_LAB_SECONDS'] ?? (long ? 3600 : 10))
const sessions = long ? 1_000_000 : 20_000
const rate = 10_000
const WITHIN_MS = long ? 300_000 : 60_000
t.setTimeout(2 * (seconds + 600) * 1000) // of both backends

const lostAt = (lab: PairLab, since: number): string[] => routers.flatMap((r) => eventsOf(lab.agent(r)).filter((e) => e.at >= since && e.event === 'peer' && e.to === 'lost').map((e) => `${r} at +${e.at - since} ms after ${String(e.silentMs)} ms of silence`))
const movedAt = (lab: PairLab, since: number): string[] => routers.flatMap((r) => eventsOf(lab.agent(r)).filter((e) => e.at >= since && e.event === 'role').map((e) => `${r} ${String(e.from)} to ${String(e.to)} (${String(e.code)})`))

/** Every session as JSON, to nobody: what a careless script does. Ends with the signal; resolves to how many there were. */
async function exporting (lab: PairLab, signal: AbortSignal): Promise<number> {
  const loops = await Promise.all(routers.map(async (r) => {
    let n = 0
    for (; !signal.aborted; n++) await run(['sh', '-c', 'exec "$@" > /dev/null', 'sh', ...lab.agent(r).argv(['sessions', 'list', '--json'])], { signal, timeoutMs: 600_000 }).catch(() => undefined)
    return n
  }))
  return loops.reduce((sum, n) => sum + n, 0)
}

for (const backend of ['userspace', 'ebpf'] as const) {
  const skip = backend === 'ebpf' ? await ebpfSkip('cc') : await skipReason('cc')
  t.test(`no false failover on ${backend}`, { skip }, async (t) => {
    const lab = await openPairLab(t, `ps${backend[0] ?? ''}`, { backend, capacity: long ? '2M' : '64k', more: 'timeouts: {udp-new: 7200s}' })
    await Promise.all(routers.map(async (r) => await lab.start(r)))
    await lab.settled('r1', WITHIN_MS)

    await t.test('an agent stops for a second and goes on', { skip: backend === 'userspace' ? 'packet workers stop with their agent, and its peer takes over, as it should' : false }, async (t) => {
      const since = Date.now()
      process.kill(lab.agent('r2').pid, 'SIGSTOP')
      await sleep(1000)
      process.kill(lab.agent('r2').pid, 'SIGCONT')
      await sleep(1000)
      await lab.settled('r1', WITHIN_MS)
      t.same([lostAt(lab, since), movedAt(lab, since)], [[], []])
    })

    await t.test(`${availableParallelism()} busy cores and exports of ${sessions} sessions for ${seconds} s`, async (t) => {
      const churn = await churning(lab, rate)
      await lab.until(async () => (await lab.group('r1')).sessions >= sessions ? null : 'the table is not full', WITHIN_MS)
      await churn.stop()
      await lab.settled('r1', WITHIN_MS)
      const since = Date.now()
      const done = new AbortController()
      const busy = Array.from({ length: availableParallelism() }, (_, i) => new Background(`busy ${i}`, null, ['sh', '-c', 'while :; do :; done']))
      const exports = exporting(lab, done.signal)
      await sleep(seconds * 1000)
      done.abort()
      t.comment(`${await exports} exports`)
      await Promise.all(busy.map(async (b) => await b.stop('SIGKILL')))
      t.same([lostAt(lab, since), movedAt(lab, since)], [[], []])
      await lab.settled('r1', WITHIN_MS)
    })
  })
}
