/** A process that runs DPDK and misbehaves: it does not start, hangs, dies, has not a port. A script plays it; everything else is real. */
import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { DpdkChild, type ChildOptions } from '../../../src/backend/dpdk/child.js'
import { DpdkForwarder } from '../../../src/backend/dpdk/index.js'
import { IngressGuard } from '../../../src/backend/table/ingress-guard.js'
import type { OpenPort } from '../../../src/backend/table/ports.js'
import { WorkBook } from '../../../src/lib/work.js'
import { loadCore } from '../../../src/native/load.js'
import { desired } from '../config/support.js'
import type { Behaviour } from './fake-dpdk.js'
import { until } from '../../until.js'

const fake = join(dirname(fileURLToPath(import.meta.url)), 'fake-dpdk.js')
const names = ['lan', 'wan'] as const
const config = desired(`interfaces: {${names.map(name => `${name}: {zone: z}`).join(', ')}}\nzones: {z: {}}\n`)
let instances = 0

interface Folder { readonly path: string, readonly program: string, readonly be: (b: Behaviour) => void, readonly said: () => string[] }

function folder (t: Test, first: Behaviour = {}): Folder {
  const path = mkdtempSync(join(tmpdir(), 'ls-dpdk-'))
  t.teardown(() => { rmSync(path, { recursive: true, force: true }) })
  const program = join(path, 'lockstep-dpdk')
  const be = (b: Behaviour): void => { writeFileSync(join(path, 'behaviour'), JSON.stringify(b)) }
  be(first)
  writeFileSync(join(path, 'said'), '')
  writeFileSync(program, `#!/bin/sh\nexec env -u NODE_OPTIONS ${process.execPath} ${fake} ${path} "$@"\n`)
  chmodSync(program, 0o755)
  return { path, program, be, said: () => readFileSync(join(path, 'said'), 'utf8').trim().split('\n') }
}

const gone = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}

const childOptions = (program: string, more: Partial<ChildOptions> = {}): ChildOptions =>
  ({ program, argv: [], descriptors: [], prefix: `lockstep-test-${process.pid}`, needs: '', signal: new AbortController().signal, log: () => undefined, onLink: () => undefined, onEnd: () => undefined, ...more })

function forwarder (t: Test, f: Folder) {
  const table = new (loadCore().Table)({ capacity: 1024, cpus: 0, threads: 2, arena: 0, hugepages: 0, path: '' })
  const log: string[] = []
  const work = new WorkBook()
  const instance = `test-${process.pid}-${instances++}`
  const d = new DpdkForwarder({
    table, instance, netns: null, first: 1, workers: 1, descriptors: [table.info().fd], ingress: new IngressGuard(instance), work, log: (level, text) => { log.push(`${level} ${text}`) }, program: { path: f.program, version: '', reason: '' },
    settings: { cpus: [], hugepages: 'off', memoryMib: 64, buffers: 8192, frameBytes: 2048, idle: 'sleep', eal: [] }
  })
  t.teardown(async () => { await d.stop() })
  const ports = config.ports.map((port, i): OpenPort => ({ port, device: i + 1, mac: '', mtu: 1500, ifindex: i + 2, spec: {} as OpenPort['spec'] }))
  /** As an apply does. */
  const configured = async (): Promise<void> => {
    await d.admit(config, new Set())
    for (const port of ports) await d.open(port)
    for (const port of ports) await d.enable(port)
    await d.settle(ports)
  }
  return { d, log, work, ports, configured, lines: (pattern: RegExp) => log.filter(line => pattern.test(line)).length }
}

t.test('a program that is not there, that may not be run, and no descriptor left: an error each, with what to do', async (t) => {
  const f = folder(t)
  await t.rejects(DpdkChild.start(childOptions(join(f.path, 'nothing'))), { code: 'LS_B_DPDK', errorClass: 'unavailable', message: /agent\.dpdk: DPDK does not start: found .*ENOENT.*; build it/ })
  chmodSync(f.program, 0o644)
  await t.rejects(DpdkChild.start(childOptions(f.program)), { code: 'LS_B_DPDK', message: /EACCES.*; run as root/ })
  chmodSync(f.program, 0o755)
  const limit = (soft: string): void => { spawnSync('prlimit', ['--pid', String(process.pid), `--nofile=${soft}:`]) }
  const before = /Max open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? '1024'
  limit('128')
  const taken: number[] = []
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'))
  } catch (error) {
    t.match(error, { code: 'EMFILE' })
  }
  const started = DpdkChild.start(childOptions(f.program)).then(() => null, (error: unknown) => error)
  await new Promise((resolve) => setImmediate(resolve))
  for (const fd of taken) closeSync(fd)
  limit(before)
  t.match(await started, { code: 'LS_B_DPDK', message: /EMFILE.*; raise the limit of open files/ })
})

t.test('silent at the start: whoever no longer waits ends it at once', async (t) => {
  const f = folder(t, { silent: true })
  const waits = new AbortController()
  const started = DpdkChild.start(childOptions(f.program, { signal: waits.signal })).then(() => null, (error: unknown) => error)
  await until('its process', () => f.said().includes('begun'))
  waits.abort()
  t.match(await started, { code: 'LS_B_DPDK', message: /a warning of EAL; nobody waits for it any more/ })
})

for (const end of ['stop', 'leave'] as const) {
  t.test(`silent at the start: ${end === 'stop' ? 'the agent stops' : 'another is chosen'} without waiting for it; changes meanwhile do not wait either`, async (t) => {
    const f = folder(t, { silent: true })
    const { d, configured } = forwarder(t, f)
    const started = d.start(false).then(() => null, (error: unknown) => error)
    await until('its process', () => f.said().includes('begun'))
    t.match(d.down(), /being started/)
    await configured()
    t.same(d.lacks(), names, 'they are known, and not there')
    await d[end]()
    t.match(await started, { code: 'LS_B_DPDK', message: /nobody waits for it any more/ }, 'not the bound of a start')
    t.same([d.down(), d.degraded()], ['', []], 'and nobody is told of what nobody wants')
  })
}

t.test('it hangs in a question: a stop ends it within its own bound, and what was asked is told so', async (t) => {
  const f = folder(t)
  const { d, log } = forwarder(t, f)
  await d.start(true)
  const { pid } = d
  f.be({ mute: true })
  const admitted = d.admit(config, new Set()).then(() => null, (error: unknown) => error)
  await until('the question', () => f.said().some(line => line.includes('lan')))
  await d.stop()
  t.match(await admitted, { code: 'LS_B_DPDK_GONE', message: /port lan.*(did not end|no answer about port lan) in 3 s/ })
  t.ok(gone(pid))
  t.notMatch(log.join('\n'), /in 15 s/)
})

t.test('a port that a new life does not get: told by name, tried until it is there, and the others forward meanwhile', async (t) => {
  const f = folder(t)
  const { d, work, configured, lines } = forwarder(t, f)
  await d.start(true)
  await configured()
  t.same([d.degraded(), d.lacks(), d.down()], [[], [], ''])
  f.be({ refuse: ['wan'] })
  process.kill(d.pid, 'SIGKILL')
  await until('the port to be missed', () => lines(/port wan: DPDK has not got it/) > 0)
  t.match(d.degraded(), [/^port wan: DPDK has not got it, nothing is received or sent there: .*No such device.*dpdk-devbind\.py --status; it is tried again$/])
  t.same([d.lacks(), d.down()], [['wan'], ''])
  t.match(work.waiting, [{ process: 'dpdk port', object: 'wan', cause: /No such device/ }])
  await configured()
  t.equal(d.degraded().length, 1, 'an apply of the same changes nothing of it')
  const tries = (): number => f.said().filter(line => line.endsWith(' wan')).length
  const tried = tries()
  await until('more tries', () => tries() > tried + 1)
  t.equal(lines(/port wan: DPDK has not got it/), 1, 'the same again is no news')
  f.be({})
  await until('the port to be back', () => d.degraded().length === 0)
  t.same([d.lacks(), work.waiting], [[], []])
  t.equal(lines(/port wan: DPDK has it/), 1)
  f.be({ refuse: ['wan'] })
  process.kill(d.pid, 'SIGKILL')
  await until('the port to be missed again', () => d.degraded().some(line => line.startsWith('port wan')))
  await d.settle([])
  t.same([d.degraded(), work.waiting], [[], []], 'nobody wants it any more')
})

t.test('a life that ends while it gets its ports: what is said of the end stays until the next one runs', async (t) => {
  const f = folder(t)
  const { d, configured, lines } = forwarder(t, f)
  await d.start(true)
  await configured()
  f.be({ dies: true })
  process.kill(d.pid, 'SIGKILL')
  await until('the end of a second life', () => lines(/process that runs DPDK is down/) >= 2)
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
  t.match(d.degraded(), [/^dpdk: nothing is forwarded, .*it was ended by SIGKILL/], 'in its own words')
  t.match(d.down(), /nothing is forwarded/)
  f.be({})
  await until('the next life', () => d.degraded().length === 0)
  t.same([d.down(), d.lacks()], ['', []])
})

t.test('a configuration that is refused: what was there before is there again, or tried again', async (t) => {
  const f = folder(t)
  const { d, configured } = forwarder(t, f)
  await d.start(true)
  await configured()
  f.be({ refuse: ['lan'] })
  await t.rejects(d.admit(config, new Set(['lan'])), { code: 'LS_E_NO_DEVICE' })
  t.match(d.degraded(), [/^port lan: DPDK has not got it/])
  f.be({})
  await until('the port to be back', () => d.degraded().length === 0)
  t.same(d.lacks(), [])
})

t.test('a switch to a DPDK that dies as it comes is refused', async (t) => {
  const f = folder(t, { dies: true })
  const { d, ports } = forwarder(t, f)
  await d.start(false)
  await t.rejects((async () => { for (const port of ports) await d.open(port) })(), { code: 'LS_B_DPDK_GONE' })
  await d.leave()
  t.same([d.down(), d.degraded()], ['', []])
})

t.test('a switch away from a process that hangs: it is ended, and has let go of its ports', async (t) => {
  const f = folder(t)
  const { d, ports, configured } = forwarder(t, f)
  await d.start(true)
  await configured()
  const { pid } = d
  f.be({ mute: true })
  for (const port of ports) await d.handOver(port, true)
  t.ok(gone(pid))
  for (const port of ports) await d.close(port)
  await d.leave()
  t.same([d.down(), d.degraded(), d.lacks()], ['', [], []])
})
