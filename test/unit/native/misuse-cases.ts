/**
 * What no caller should do to the addon, one case a process: `node misuse-cases.js NAME`. A case that ends prints one line of JSON; the test reads it
 * and the exit status, because a crash is what is being looked for.
 */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'
import { fileURLToPath } from 'node:url'
import { layout } from '../../../src/generated/layout.js'
import type { NativeHeart, NativePortSpec, NativeTable, NativeUserspace } from '../../../src/native/binding.js'
import { loadCore } from '../../../src/native/load.js'
import { concat, RECORD, tuples, wireDelete, wireRecord } from '../../conformance/wire.js'

const core = loadCore()
const geometry = { capacity: 1024, cpus: 0, threads: 2, arena: 64, hugepages: 0, path: '' }
const FILTER = layout.ls_filter.size
const port: NativePortSpec = { kind: 4, name: 'x', netns: '', in: '', out: '', mac: '', mtu: 0, rate: 1, flows: 1, loops: 1, reflect: true, src: '', dst: '', dport: 1, proto: 17, device: 0, parked: false }

export interface Outcome { readonly refused: Record<string, number>, readonly accepted: number, readonly odd: string[], readonly faults?: unknown }

const outcome = { refused: {} as Record<string, number>, accepted: 0, odd: [] as string[] }
/** Every refusal is an Error that says what: a TypeError, or one with a code of ours. */
function refusal (what: string, error: unknown): void {
  const code = (error as { code?: unknown } | null)?.code
  const kind = typeof code === 'string' && code.startsWith('LS_') ? code : error instanceof TypeError ? 'TypeError' : null
  if (kind === null || !(error instanceof Error) || error.message === '') outcome.odd.push(`${what}: ${String(error)}`)
  else outcome.refused[kind] = (outcome.refused[kind] ?? 0) + 1
}
async function attempt (what: string, call: () => unknown): Promise<void> {
  try {
    const result = await call()
    if (typeof result === 'object' && result !== null && 'done' in result) await result.done // work that can be cancelled
    outcome.accepted++
  } catch (error) {
    refusal(what, error)
  }
}

type Call = (...args: unknown[]) => unknown
const method = (object: NativeTable | NativeUserspace, name: string): Call => ((object as unknown as Record<string, Call>)[name] ?? (() => { throw new Error(`no method ${name}`) })).bind(object)

const tableCalls: Readonly<Record<string, () => unknown[]>> = {
  info: () => [], install: () => [wireRecord({ key: tuples(1)[0] ?? never() }), RECORD, new Uint8Array(1), false], drain: () => [new Uint8Array(RECORD)], drainLogs: () => [new Uint8Array(64)], feed: () => [false],
  deleteIds: () => [wireDelete({ key: tuples(1)[0] ?? never(), serial: 1n })], deleteFilter: () => [new Uint8Array(FILTER), 4], scanColumns: () => [new Uint8Array(FILTER), 1, 0, new Uint8Array(160), 10, 1000],
  scanRecords: () => [new Uint8Array(FILTER), 0, new Uint8Array(RECORD), 1000], count: () => [new Uint8Array(FILTER)], verify: () => [], bulkBegin: () => [], reconcile: () => [1, true, false], reevaluate: () => [],
  writeConfig: () => [new Uint8Array(layout.ls_config.size)], writeArena: () => [1, new Uint8Array(64)], readArena: () => [1, new Uint8Array(64)], setRole: () => [1, 2, 3n, 4n], counters: () => [new Uint8Array(layout.ls_counters.size)],
  get: () => [new Uint8Array(layout.ls_key.size), new Uint8Array(RECORD)], rates: () => [1], natUsage: () => [], sessionTally: () => [], startFreer: () => [], stopFreer: () => []
}
const userspaceCalls: Readonly<Record<string, () => unknown[]>> = {
  addPort: () => [port], enablePort: () => [1], removePort: () => [31], startLinks: () => [''], start: () => [], stop: () => [], ports: () => [], links: () => [], neighbours: () => [], setRoutes: () => [new Uint8Array(40)],
  setNeighbours: () => [new Uint8Array(32)], resolved: () => ['192.0.2.1'], unresolved: () => [0], announce: () => [0, new Uint8Array(32)]
}
function never (): never { throw new Error('unreachable') }

/** A table whose workers, links and freer are all at work. */
function working (): NativeTable {
  const table = new core.Table(geometry)
  const us = new core.Userspace(table, 2)
  us.addPort({ ...port, reflect: false, src: '10.0.0.1', dst: '10.0.0.2', rate: 0 })
  us.enablePort(1)
  us.startLinks('')
  us.start()
  table.startFreer()
  return table
}

function garbage (): Array<readonly [string, unknown]> {
  const detached = new Uint8Array(64)
  structuredClone(detached, { transfer: [detached.buffer] })
  return [
    ['undefined', undefined], ['null', null], ['true', true], ['-1', -1], ['1.5', 1.5], ['NaN', NaN], ['Infinity', Infinity], ['-0', -0], ['2^32', 2 ** 32], ['2^32-1', 2 ** 32 - 1], ['2^53', 2 ** 53], ['1e308', 1e308],
    ['text', 'x'], ['empty text', ''], ['NUL', 'a\0b'], ['long text', 'x'.repeat(100_000)], ['bigint', 10n], ['negative bigint', -1n], ['huge bigint', 2n ** 70n], ['object', {}], ['array', [1, 2]], ['no bytes', new Uint8Array(0)],
    ['7 bytes', new Uint8Array(7)], ['odd offset', new Uint8Array(new ArrayBuffer(9_000_001), 1)], ['doubles', new Float64Array(4)], ['buffer', new ArrayBuffer(8)], ['shared', new Uint8Array(new SharedArrayBuffer(64))],
    ['detached', detached], ['symbol', Symbol('s')], ['function', () => 1], ['null prototype', Object.create(null)], ['a getter that throws', { get kind () { throw new TypeError('no') }, get capacity () { throw new TypeError('no') } }],
    ['a table class', core.Table], ['DataView', new DataView(new ArrayBuffer(200))]
  ]
}

async function everyArgument (object: NativeTable | NativeUserspace, calls: typeof tableCalls, label: string): Promise<void> {
  for (const [name, valid] of Object.entries(calls)) {
    await attempt(`${label}.${name} without arguments`, () => method(object, name)())
    for (let i = 0; i < valid().length; i++) {
      for (const [text, value] of garbage()) await attempt(`${label}.${name} argument ${i} ${text}`, () => method(object, name)(...valid().map((v, j) => i === j ? value : v)))
    }
  }
}

function random (seed: number): () => number {
  let state = seed >>> 0
  return () => { state = (Math.imul(state, 1664525) + 1013904223) >>> 0; return state / 2 ** 32 }
}
const noise = (n: number, next: () => number): Uint8Array => Uint8Array.from({ length: n }, () => Math.floor(next() * 256))

function scratch (): string {
  const directory = mkdtempSync(join(tmpdir(), 'ls-misuse-'))
  process.on('exit', () => { rmSync(directory, { recursive: true, force: true }) })
  return directory
}

const inWorker = (job: string, data: Record<string, unknown>): Worker => new Worker(fileURLToPath(import.meta.url), { workerData: { job, ...data } })
const ended = async (worker: Worker): Promise<number> => await new Promise((resolve, reject) => { worker.on('exit', resolve); worker.on('error', reject) })
const ready = async (worker: Worker): Promise<void> => { await new Promise<void>((resolve, reject) => { worker.once('message', () => { resolve() }); worker.once('error', reject) }) }

export const cases: Readonly<Record<string, () => Promise<unknown>>> = {
  'every method of Table with wrong types and huge numbers': async () => {
    const table = new core.Table(geometry)
    await everyArgument(table, tableCalls, 'table')
    return (await table.verify()).faults
  },
  'every method of Userspace with wrong types and huge numbers': async () => {
    const table = new core.Table(geometry)
    const us = new core.Userspace(table, 2)
    us.startLinks('')
    us.start()
    await everyArgument(us, userspaceCalls, 'userspace')
    for (const field of Object.keys(port)) for (const [text, value] of garbage()) await attempt(`addPort ${field} ${text}`, () => { us.removePort(us.addPort({ ...port, [field]: value }).device) })
    us.close()
    table.close()
  },
  'constructors with wrong arguments': async () => {
    const Table = core.Table as unknown as new (...args: unknown[]) => NativeTable
    const Userspace = core.Userspace as unknown as new (...args: unknown[]) => NativeUserspace
    const Heart = core.Heart as unknown as new (...args: unknown[]) => NativeHeart
    for (const [text, value] of garbage()) {
      await attempt(`Table ${text}`, () => { new Table(value).close() })
      for (const field of Object.keys(geometry)) await attempt(`Table ${field} ${text}`, () => { new Table({ ...geometry, [field]: value }).close() })
      await attempt(`attach ${text}`, () => { new Table({ attach: value }).close() })
      await attempt(`open ${text}`, () => { new Table({ open: value }).close() })
      await attempt(`Userspace ${text}`, () => { new Userspace(value, 1).close() })
      await attempt(`Heart ${text}`, () => { new Heart(value, 'misuse').close() })
      await attempt(`connectHeart ${text}`, () => { (core.connectHeart as unknown as Call)(value) })
      const table = new core.Table(geometry)
      await attempt(`workers ${text}`, () => { new Userspace(table, value).close() })
      await attempt(`name ${text}`, () => { new Heart(table, value).close() })
      table.close()
    }
    for (const capacity of [0, 1, 1023, 1025, 3000, 2 ** 25, 2 ** 31]) await attempt(`capacity ${capacity}`, () => { new core.Table({ ...geometry, capacity }) })
    for (const threads of [0, 255, 256]) await attempt(`threads ${threads}`, () => { new core.Table({ ...geometry, threads }) })
    for (const [text, call] of [['Table', core.Table], ['Userspace', core.Userspace]] as const) await attempt(`${text} without new`, () => { (call as unknown as Call)(geometry) })
  },
  'objects that are not what they are passed for': async () => {
    const table = new core.Table(geometry)
    const us = new core.Userspace(table, 1)
    const Userspace = core.Userspace as unknown as new (...args: unknown[]) => NativeUserspace
    for (const [text, value] of [['a dataplane', us], ['an impostor', Object.create(core.Table.prototype as object) as object], ['a copy', { ...table }], ['a proxy', new Proxy(table, {})]] as const) {
      await attempt(`new Userspace(${text})`, () => new Userspace(value, 1))
      await attempt(`Table.prototype.info on ${text}`, () => (core.Table.prototype as NativeTable).info.call(value))
      await attempt(`Userspace.prototype.ports on ${text}`, () => (core.Userspace.prototype as NativeUserspace).ports.call(value))
    }
    us.close()
    await attempt('a closed table', () => { table.close(); return new Userspace(table, 1) })
    await attempt('a heart of a closed table', () => new core.Heart(table, `-misuse-${process.pid}`))
  },
  'every method of closed objects': async () => {
    const table = new core.Table(geometry)
    const us = new core.Userspace(table, 1)
    await attempt('close under a dataplane', () => { table.close() })
    us.close()
    us.close()
    const heart = new core.Heart(table, `-misuse-${process.pid}`)
    await attempt('close under a heart', () => { table.close() })
    heart.close()
    heart.close()
    for (const [name, valid] of Object.entries(userspaceCalls)) await attempt(name, () => method(us, name)(...valid()))
    table.close()
    table.close()
    for (const [name, valid] of Object.entries(tableCalls)) await attempt(name, () => method(table, name)(...valid()))
    const { accepted } = outcome
    if (accepted > 0) outcome.odd.push(`${accepted} calls on closed objects were accepted`)
  },
  'close while work is in flight': async () => {
    for (let round = 0; round < 20; round++) {
      const table = new core.Table({ ...geometry, capacity: 65536 })
      table.install(concat(tuples(5000).map(key => wireRecord({ key }))), RECORD, null, false)
      const work = [table.verify(), table.count(new Uint8Array(FILTER)), table.deleteFilter(new Uint8Array(FILTER), 4).done, table.natUsage(), table.sessionTally(), table.reconcile(0xffff, true, false), table.reevaluate()]
      await attempt('close', () => { table.close() })
      await Promise.all(work)
      table.close()
    }
    if (outcome.accepted > 0) outcome.odd.push('a table was closed under its work')
  },
  'objects forgotten while they work': async () => {
    for (let round = 0; round < 30; round++) {
      const table = new core.Table(geometry)
      void table.verify()
      if (round % 2 === 0) {
        const us = new core.Userspace(table, 2)
        us.addPort({ ...port, reflect: false, src: '10.0.0.1', dst: '10.0.0.2', rate: 0 })
        us.enablePort(1)
        us.start()
        table.startFreer()
      }
      globalThis.gc?.()
      await new Promise(resolve => setImmediate(resolve))
    }
    globalThis.gc?.()
    await new Promise(resolve => setTimeout(resolve, 20))
    globalThis.gc?.()
  },
  'two dataplanes on one table': async () => {
    const table = new core.Table(geometry)
    const us = new core.Userspace(table, 2)
    await attempt('a second one', () => new core.Userspace(table, 2))
    const other = new core.Table({ attach: table.info().id })
    await attempt('a second one through another handle', () => new core.Userspace(other, 2))
    if (outcome.accepted > 0) outcome.odd.push('two dataplanes share worker ids')
    us.close()
    new core.Userspace(table, 2).close()
    other.close()
    table.close()
  },
  'a forgotten dataplane gives its table back': async () => {
    const table = new core.Table(geometry)
    const forget = (): void => { new core.Userspace(table, 2).start() }
    forget()
    for (let i = 0; i < 100; i++) {
      globalThis.gc?.()
      await new Promise(resolve => setTimeout(resolve, 10))
      try {
        table.close()
        return
      } catch { /* not collected yet */ }
    }
    outcome.odd.push('the table cannot be closed')
  },
  'exit while workers run': async () => {
    void working().verify()
    await new Promise(resolve => setTimeout(resolve, 50))
    await print()
    process.exit(0)
  },
  'the end of the program while workers run': async () => {
    working()
  },
  'threads attach, work and are terminated': async () => {
    const table = new core.Table({ ...geometry, capacity: 65536 })
    table.install(concat(tuples(20_000).map(key => wireRecord({ key }))), RECORD, null, false)
    const next = random(1)
    for (let round = 0; round < 12; round++) {
      const workers = [inWorker('busy', { id: table.info().id, seed: round }), inWorker('busy', { id: table.info().id, seed: round + 100 })]
      await Promise.all(workers.map(ready))
      await new Promise(resolve => setTimeout(resolve, next() * 20))
      await Promise.all(workers.map(async w => { await w.terminate() }))
    }
    const faults = (await table.verify()).faults
    table.close()
    return faults
  },
  'exit while a thread is attached and working': async () => {
    const table = new core.Table({ ...geometry, capacity: 65536 })
    const worker = inWorker('busy', { id: table.info().id, seed: 5 })
    await ready(worker)
    await print()
    process.exit(0)
  },
  'the creator closes first, a thread goes on': async () => {
    const table = new core.Table(geometry)
    const worker = inWorker('outlive', { id: table.info().id })
    await ready(worker)
    table.close()
    worker.postMessage('closed')
    const code = await ended(worker)
    if (code !== 0) outcome.odd.push(`the thread ended with ${code}`)
    await attempt('attach to what is gone', () => new core.Table({ attach: 1 }))
  },
  'noise as records, deletes and filters': async () => {
    const table = new core.Table(geometry)
    const next = random(7)
    const good = wireRecord({ key: tuples(1)[0] ?? never() })
    for (let i = 0; i < 300; i++) {
      const records = noise(RECORD * 8, next)
      // half of them nearly right: one byte changed
      for (let r = 0; r < 8; r += 2) {
        records.set(good, r * RECORD)
        records[r * RECORD + Math.floor(next() * RECORD)] = Math.floor(next() * 256)
      }
      await attempt('install', () => table.install(records, RECORD, new Uint8Array(8), next() < 0.5))
      await attempt('delete', () => table.deleteIds(noise(64 * 4, next)))
      const filter = noise(FILTER, next)
      await attempt('count', () => table.count(filter))
      await attempt('scan', () => table.scanColumns(filter, Math.floor(next() * 2 ** 32), Math.floor(next() * 2 ** 32), new Uint8Array(300 * 64), 64, 1000))
      await attempt('records', () => table.scanRecords(filter, Math.floor(next() * 4096), new Uint8Array(RECORD * 3), 1000))
    }
    return (await table.verify()).faults
  },
  'noise as rings, routes and neighbours': async () => {
    const table = new core.Table(geometry)
    const us = new core.Userspace(table, 2)
    us.startLinks('')
    us.start()
    const next = random(9)
    const reals = (n: number): Uint8Array => { const out = noise(24 * n, next); for (let i = 0; i < n; i++) new DataView(out.buffer).setUint32(i * 24 + 20, Math.floor(next() * 101), true); return out }
    for (const size of [0, 1, 2, 3, 4, 13, 127, 1021, 65537, 65536, 65538]) {
      for (let i = 0; i < 12; i++) await attempt(`maglev ${size}`, async () => await core.maglev(reals(Math.floor(next() * 20)), size, i % 3 === 0 ? null : noise(size * 2, next)))
    }
    for (let i = 0; i < 50; i++) {
      await attempt('routes', () => { us.setRoutes(noise(Math.floor(next() * 4000), next)) })
      await attempt('neighbours', () => { us.setNeighbours(noise(Math.floor(next() * 4000), next)) })
    }
    us.close()
    table.close()
  },
  'more ports than there are': async () => {
    const table = new core.Table(geometry)
    const us = new core.Userspace(table, 2)
    for (let i = 0; i < 40; i++) await attempt(`port ${i}`, () => us.addPort({ ...port, name: `p${i}` }))
    const directory = scratch()
    writeFileSync(join(directory, 'short'), 'x')
    writeFileSync(join(directory, 'other'), Buffer.alloc(100))
    us.removePort(1)
    for (const over of [{ in: directory }, { in: join(directory, 'none') }, { in: join(directory, 'short') }, { in: join(directory, 'other') }, { out: directory }, { out: join(directory, 'no/such/place') }, { in: '/dev/zero' }]) {
      await attempt(JSON.stringify(Object.keys(over)), () => us.addPort({ ...port, kind: 2, ...over }))
    }
    await attempt('a device that does not exist', () => us.addPort({ ...port, kind: 1, name: 'ls-none0' }))
    await attempt('a namespace that does not exist', () => us.addPort({ ...port, kind: 1, name: 'lo', netns: '/run/netns/ls-none' }))
    us.close()
    table.close()
  },
  'files that are no tables': async () => {
    const directory = scratch()
    const path = join(directory, 'table')
    const table = new core.Table({ ...geometry, path })
    await attempt('a path that exists', () => new core.Table({ ...geometry, path }))
    await attempt('a table that another holds', () => new core.Table({ open: path }))
    table.close()
    new core.Table({ open: path }).close()
    const next = random(3)
    for (const [name, write] of [
      ['empty', (p: string) => { writeFileSync(p, '') }], ['noise', (p: string) => { writeFileSync(p, noise(100_000, next)) }], ['zeros', (p: string) => { writeFileSync(p, Buffer.alloc(1 << 20)) }]
    ] as const) {
      write(join(directory, name))
      await attempt(name, () => new core.Table({ open: join(directory, name) }))
    }
    truncateSync(path, 1 << 20)
    await attempt('cut short', () => new core.Table({ open: path }))
    await attempt('a directory', () => new core.Table({ open: directory }))
    await attempt('no such file', () => new core.Table({ open: join(directory, 'none') }))
    await attempt('no such folder', () => new core.Table({ ...geometry, path: join(directory, 'none', 'table') }))
    if (outcome.accepted > 0) outcome.odd.push(`${outcome.accepted} of these were opened`)
  }
}

/** Jobs of worker threads. */
async function job (): Promise<void> {
  const data = workerData as { job: string, id: number, seed: number }
  const table = new core.Table({ attach: data.id })
  if (data.job === 'outlive') {
    const told = new Promise(resolve => parentPort?.once('message', resolve))
    parentPort?.postMessage('ready')
    await told
    for (let i = 0; i < 50; i++) {
      await table.verify()
      table.install(concat(tuples(100).map(key => wireRecord({ key }))), RECORD, null, false)
    }
    table.close()
    return
  }
  const next = random(data.seed)
  const out = new Uint8Array(RECORD * 256)
  parentPort?.postMessage('ready')
  for (;;) {
    const work = [table.verify(), table.count(new Uint8Array(FILTER)), table.deleteFilter(new Uint8Array(FILTER), 4).done]
    table.install(concat(tuples(64).map(key => wireRecord({ key: { ...key, sport: Math.floor(next() * 65536) } }))), RECORD, null, true)
    table.drain(out)
    table.scanRecords(new Uint8Array(FILTER), 0, out, 100_000)
    if (next() < 0.5) await Promise.all(work)
    else await work[0]
  }
}

let printed = false
async function print (faults?: unknown): Promise<void> {
  if (printed) return
  printed = true
  await new Promise<void>(resolve => process.stdout.write(`${JSON.stringify({ ...outcome, ...(faults === undefined ? {} : { faults }) } satisfies Outcome)}\n`, () => { resolve() }))
}

if (!isMainThread) await job()
else if (process.argv[1] === fileURLToPath(import.meta.url)) await print(await cases[process.argv[2] ?? '']?.())
