/** A disk without room: nothing is sent that could not be found again, no half line is left, and all of it is told once there is room. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Outlet } from '../../../../src/bgp/reporting/outlet.js'
import { FileSink } from '../../../../src/bgp/sinks/file.js'
import type { BgpReport } from '../../../../src/contract/bgp.js'
import { KeptLog, MovedClock, ToldSink, look, neighbour, subject, until } from '../reporting/world.js'

const able = process.getuid?.() === 0 && spawnSync('unshare', ['-m', 'true']).status === 0
const skip = able ? false : 'needs CAP_SYS_ADMIN for a small tmpfs'

/** A folder with room for 64 kB; its tmpfs is in a mount namespace of its own, which ends with this process however that ends. */
async function smallDisk (t: Test): Promise<{ readonly path: string, readonly fill: () => void, readonly free: () => void }> {
  const directory = mkdtempSync(join(tmpdir(), 'bgpd-'))
  const holder = spawn('unshare', ['-m', 'sh', '-c', `mount -t tmpfs -o size=64k ls-test ${directory} && echo mounted && exec cat`], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(async () => {
    const gone = new Promise(resolve => holder.once('exit', resolve))
    holder.stdin.end()
    await gone
    rmSync(directory, { recursive: true, force: true })
  })
  await new Promise(resolve => holder.stdout.once('data', resolve))
  const path = `/proc/${holder.pid}/root${directory}`
  const ballast = join(path, 'ballast')
  return {
    path,
    fill: () => {
      for (const size of [65_536, 4096, 256, 16, 1]) {
        try {
          for (;;) writeFileSync(ballast, Buffer.alloc(size), { flag: 'a' })
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
        }
      }
    },
    free: () => { rmSync(ballast, { force: true }) }
  }
}
const report = (n: number): BgpReport => ({ subject: `default/192.0.2.${n}`, state: 'down', rttNs: 0, cause: 'changed', decidedAt: 1_700_000_000_000 })

t.test('file: what does not fit is taken back, and comes whole later', { skip }, async (t) => {
  const disk = await smallDisk(t)
  const path = join(disk.path, 'bgp.jsonl')
  const sink = new FileSink({ type: 'file', name: 'log', path }, 'n1')
  const write = async (...batch: BgpReport[]) => await (await sink.prepare(batch)).send(AbortSignal.timeout(5000))
  t.match(await write(report(1)), [{ kind: 'landed' }])
  const { size } = statSync(path)
  disk.fill()
  const many = Array.from({ length: 60 }, (_, i) => report(i))
  const refused = await write(...many)
  t.equal(refused.length, 60)
  t.ok(refused.every(({ kind }) => kind === 'transient'), JSON.stringify(refused[0]))
  t.match(refused[0], { reason: /bgp\.jsonl.*no space left/i })
  t.equal(statSync(path).size, size, 'nothing of it is there')
  disk.free()
  t.ok((await write(...many)).every(({ kind }) => kind === 'landed'))
  t.same(readFileSync(path, 'utf8').trim().split('\n').map(line => (JSON.parse(line) as { readonly state: string }).state).length, 61)
})

t.test('state directory: that a batch landed is written as soon as there is room', { skip }, async (t) => {
  const disk = await smallDisk(t)
  const [sink, clock] = [new ToldSink(), new MovedClock()]
  const outlet = new Outlet({ sink, target: 'target', timing: { graceMs: 0, debounceMs: 0, refreshMs: 6 * 3_600_000, jitter: 0, spacingMs: 0 }, directory: disk.path, clock, random: () => 1, log: new KeptLog(), wantsLook: () => {} })
  t.teardown(async () => { await outlet.stop() })
  const kept = (): unknown => (JSON.parse(readFileSync(join(disk.path, 'bgp-report.told.json'), 'utf8')) as { out: unknown }).out
  sink.list = [subject('a', 'up')]
  sink.answers = [batch => {
    disk.fill()
    return sink.land(batch)
  }]
  outlet.start()
  await until(() => outlet.tallies().stage === 'ready', 'ready')
  await outlet.tick(look([neighbour('a', 'down')]))
  await until(() => /no space left/i.test(outlet.tallies().lastError ?? ''), 'it could not be written')
  t.match(kept(), { ticket: 'ticket 0' })
  disk.free()
  await clock.move(60_000)
  await until(() => kept() === null, 'it is written')
})

t.test('state directory: nothing is sent of which nobody would know after a crash', { skip }, async (t) => {
  const disk = await smallDisk(t)
  const [sink, clock, log] = [new ToldSink(), new MovedClock(), new KeptLog()]
  const outlet = new Outlet({ sink, target: 'target', timing: { graceMs: 0, debounceMs: 0, refreshMs: 6 * 3_600_000, jitter: 0, spacingMs: 0 }, directory: disk.path, clock, random: () => 1, log, wantsLook: () => {} })
  t.teardown(async () => { await outlet.stop() })
  sink.list = [subject('a', 'up')]
  disk.fill()
  outlet.start()
  await until(() => outlet.tallies().stage === 'ready', 'ready')
  await outlet.tick(look([neighbour('a', 'down')]))
  await until(() => outlet.pending()[0]?.lastError !== null && outlet.pending().length === 1, 'it failed')
  t.match(outlet.pending(), [{ stage: 'queued', lastError: /no space left/i }])
  t.same(sink.sent, [])
  disk.free()
  await clock.move(60_000)
  await until(() => sink.sent.length > 0, 'it is sent')
  await until(() => outlet.pending().length === 0, 'it landed')
  t.match(sink.sent, [[{ subject: 'a', state: 'down' }]])
})
