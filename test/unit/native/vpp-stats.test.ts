/** The stats segment of a real VPP, as recorded: every value is read as it was, every damage and every change under a pass is survived. */
import { createServer } from 'node:net'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { NativeStatsValue, NativeVppStats } from '../../../src/native/binding.js'
import { loadCore } from '../../../src/native/load.js'
import { expected, mutations, sha256, skip, StatsServer, type Entry, type Expected } from './stats-server.js'

const core = loadCore()
const attach = (server: StatsServer): NativeVppStats => new core.VppStats(server.path, 2000)
const one = (stats: NativeVppStats, name: string): NativeStatsValue | null => stats.read([name])[0] ?? null
const code = (call: () => unknown): string | null => {
  try {
    call()
    return null
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

const pairs = (row: Float64Array): number[][] => Array.from({ length: row.length / 2 }, (_, i) => [...row.subarray(2 * i, 2 * i + 2)])
/** As the fixtures write it: `[thread][index]`, of a symlink `[thread]`. */
function plain (value: NativeStatsValue | null, kind: string): unknown {
  if (value === null) return null
  switch (value.kind) {
    case 'scalar': case 'gauge': return Number(value.value)
    case 'names': return value.names
    case 'histogram': return value.threads.map(({ minExponent, bins }) => [minExponent, ...bins])
    case 'ring': return null
    default: {
      const threads = value.threads.map(row => value.kind === 'combined' ? pairs(row) : [...row])
      return kind === 'symlink' ? threads.map(row => row[0]) : threads
    }
  }
}
const kindOf = (e: Entry): string => e.kind === 'histogram_log2' ? 'histogram' : e.kind

/** Every entry that is listed, and all names. */
function compare (t: Test, stats: NativeVppStats, image: Expected): void {
  const directory = stats.directory()
  t.equal(directory.length, image.n_entries)
  t.equal(sha256(directory.map(d => d.name).join('\n')), image.names_sha256)
  t.equal(stats.epoch(), image.header.epoch)
  const named = image.entries.filter(e => e.name !== '')
  const values = stats.read(named.map(e => e.name))
  const wrong: unknown[] = image.entries.filter(e => directory[e.i]?.name !== e.name || directory[e.i]?.kind !== kindOf(e))
  for (const [i, e] of named.entries()) {
    const value = values[i] ?? null
    if (e.ring !== undefined) continue
    const found = plain(value, e.kind)
    const [a, b] = e.len === undefined ? [found, e.value] : [[(found as string[]).length, (found as string[]).slice(0, 8)], [e.len, e.value_first8]]
    if (JSON.stringify(a) !== JSON.stringify(b) || (e.kind !== 'symlink' && value?.kind !== kindOf(e))) wrong.push([e.name, a, b])
  }
  t.same(wrong, [])
  t.comment(`${named.length} values of ${directory.length} entries`)
}

t.test('the recorded images are read as they were', { skip }, async t => {
  const server = await StatsServer.start('main')
  t.teardown(() => { server.stop() })
  for (const name of ['main', 'worker', 'ring_histogram', 'after']) {
    await t.test(name, async t => {
      await server.image(name)
      const stats = attach(server)
      const image = expected(name)
      compare(t, stats, image)
      t.equal(stats.heartbeat(), image.entries.find(e => e.name === '/sys/heartbeat')?.value)
      for (const route of image.routes ?? []) {
        const sum = (of: unknown): number[] => (typeof (of as unknown[])[0] === 'number' ? [of] as number[][] : of as number[][]).reduce((a, b) => a.map((n, i) => n + (b[i] ?? 0)))
        t.same([...stats.counters(['/net/route/to', '/net/route/via'], route.stats_index)], [...sum(route.to), ...sum(route.via)])
      }
      stats.close()
    })
  }
})

t.test('a ring gives each record once, and says what it lost', { skip }, async t => {
  const server = await StatsServer.start('ring_histogram')
  t.teardown(() => { server.stop() })
  const stats = attach(server)
  for (const e of expected('ring_histogram').entries) {
    if (e.ring === undefined) continue
    const { ring } = e
    const value = one(stats, e.name)
    if (value?.kind !== 'ring') { t.fail(`${e.name} is no ring`); continue }
    t.same([value.recordBytes, value.slots, value.schemaVersion, Buffer.from(value.schema).toString('hex')], [ring.entry_size, ring.ring_size, ring.schema_version, ring.threads[0]?.schema_hex])
    t.same(value.written, ring.threads.map(thread => BigInt(thread.sequence)))
    for (const [i, thread] of ring.threads.entries()) {
      // the oldest slot of a full ring is the one VPP writes next: it may be half written
      const whole = thread.records.filter(r => thread.sequence - r.seq < ring.ring_size)
      const got = stats.records(e.name, i, 0n)
      t.same({ ...got, records: Buffer.from(got?.records ?? []).toString('hex') },
        { first: BigInt(whole[0]?.seq ?? 0), next: BigInt(thread.sequence), lost: whole[0]?.seq ?? 0, records: whole.map(r => r.hex).join('') })
      t.same(stats.records(e.name, i, BigInt(thread.sequence)), { first: BigInt(thread.sequence), next: BigInt(thread.sequence), lost: 0, records: new Uint8Array(0) })
    }
    t.equal(stats.records(e.name, ring.threads.length, 0n), null)
  }
  t.equal(stats.records('/if/rx', 0, 0n), null)
  t.equal(stats.records('/no', 0, 0n), null)
  stats.close()
})

t.test('within a change of the layout nothing is read; the same object reads what came after it', { skip }, async t => {
  const server = await StatsServer.start('in_progress')
  t.teardown(() => { server.stop() })
  const stats = attach(server)
  for (const call of [() => stats.read(['/if/rx']), () => stats.directory(), () => stats.counters(['/if/rx'], 0), () => stats.epoch(), () => stats.heartbeat()]) {
    t.throws(call, { code: 'LS_E_BUSY', message: /stats\.sock: its layout was being changed/ })
  }
  await server.image('after')
  compare(t, stats, expected('after'))
  stats.close()
})

const rx = expected('main').entries.find(e => e.name === '/if/rx')
const link = '/interfaces/local0/rx'
const others = expected('main').entries.filter(e => ['/if/tx', '/if/drops', '/if/names', '/net/route/to', '/interfaces/local0/drops'].includes(e.name))

/** What a damage does must not reach past it. */
function othersSame (t: Test, stats: NativeVppStats): void {
  t.same(stats.read(others.map(e => e.name)).map((value, i) => plain(value, others[i]?.kind ?? '')), others.map(e => e.value), 'the rest is unaffected')
}
const rows = (value: NativeStatsValue | null): number[] | null => value?.kind === 'combined' ? value.threads.map(row => row.length / 2) : null

const outcomes: Readonly<Record<string, (t: Test, stats: NativeVppStats) => void>> = {
  in_progress: (t, stats) => t.equal(code(() => stats.read(['/if/rx'])), 'LS_E_BUSY'),
  directory_null: (t, stats) => { t.same([stats.directory(), stats.read(['/if/rx']), stats.heartbeat()], [[], [null], null]) },
  directory_below_base: (t, stats) => t.equal(code(() => stats.directory()), 'LS_E_GEOMETRY'),
  directory_past_end: (t, stats) => t.equal(code(() => stats.directory()), 'LS_E_GEOMETRY'),
  directory_len_huge: (t, stats) => {
    t.same(stats.directory().slice(0, 14).map(d => d.name), expected('main').entries.slice(0, 14).map(e => e.name))
    t.same(plain(one(stats, '/if/rx'), 'combined'), rx?.value)
    t.equal(one(stats, '/no'), null)
    othersSame(t, stats)
  },
  entry_data_null: (t, stats) => {
    t.same(stats.read(['/if/rx', link]), [null, null])
    t.same([...stats.counters(['/if/rx'], 2)], [NaN, NaN])
    othersSame(t, stats)
  },
  entry_data_past_end: (t, stats) => {
    t.same(stats.read(['/if/rx', link]), [null, null])
    othersSame(t, stats)
  },
  thread_vector_null: (t, stats) => {
    t.same(rows(one(stats, '/if/rx')), [0])
    t.equal(one(stats, link), null)
    othersSame(t, stats)
  },
  thread_vector_len_huge: (t, stats) => {
    const [columns = 0] = rows(one(stats, '/if/rx')) ?? []
    t.equal(columns, (33554432 - 116160) / 16, 'up to the end of the mapping')
    othersSame(t, stats)
  },
  vector_len_zero: (t, stats) => {
    t.same(rows(one(stats, '/if/rx')), [0])
    t.same([...stats.counters(['/if/rx'], 0)], [NaN, NaN])
    t.equal(one(stats, link), null)
    othersSame(t, stats)
  },
  unknown_type: (t, stats) => {
    t.equal(one(stats, '/if/rx'), null)
    t.equal(stats.directory().find(d => d.index === rx?.i), undefined)
    othersSame(t, stats)
  },
  name_without_nul: (t, stats) => {
    t.equal(stats.directory()[rx?.i ?? 0]?.name, 'x'.repeat(128))
    t.same(plain(one(stats, 'x'.repeat(128)), 'combined'), rx?.value)
    t.same(stats.read(['/if/rx', 'x'.repeat(127)]), [null, null])
    t.equal(code(() => stats.read(['x'.repeat(129)])), 'TypeError: names: expected names of at most 128 bytes')
    othersSame(t, stats)
  },
  symlink_index_out_of_range: (t, stats) => { t.equal(one(stats, link), null); othersSame(t, stats) },
  symlink_column_out_of_range: (t, stats) => { t.equal(one(stats, link), null); othersSame(t, stats) },
  symlink_to_itself: (t, stats) => { t.equal(one(stats, link), null); othersSame(t, stats) },
  name_element_null: (t, stats) => {
    const names = [...expected('main').entries.find(e => e.name === '/if/names')?.value as string[]] as Array<string | null>
    names[3] = null
    t.same(plain(one(stats, '/if/names'), 'names'), names)
  },
  legacy_numbering: (t, stats) => {
    const kinds = (wanted: string): number => stats.directory().filter(d => d.kind === wanted).length
    t.same([kinds('scalar'), kinds('simple'), kinds('combined'), kinds('names'), kinds('empty'), kinds('symlink')], [4, 90, 21, 8, 5409, 0], 'modern 5 is names, 6 is empty, 4 and 9 are unknown')
  }
}
const refused: Readonly<Record<string, RegExp>> = { version_1: /version 1, expected 2/, version_3: /version 3, expected 2/ }

t.test('what the recorded VPP never did', { skip }, async t => {
  const server = await StatsServer.start('main')
  t.teardown(() => { server.stop() })
  for (const mutation of mutations()) {
    await t.test(`${mutation.name}: ${mutation.expect}`, async t => {
      await server.image('main')
      const stats = attach(server)
      t.same(plain(one(stats, '/if/rx'), 'combined'), rx?.value)
      if (mutation.when !== undefined) {
        let [read, busy, absent] = [0, 0, 0]
        await server.shake(300, mutation.writes, () => {
          const until = Date.now() + 280
          while (Date.now() < until) {
            const refusal = code(() => {
              const found = plain(one(stats, '/if/rx'), 'combined')
              if (found === null) absent++
              else if (JSON.stringify(found) !== JSON.stringify(rx?.value)) t.fail(JSON.stringify(found))
              else read++
            })
            if (refusal === 'LS_E_BUSY') busy++
            else if (refusal !== null) t.fail(refusal)
          }
        })
        t.ok(read > 0)
        if (mutation.name !== 'directory_moved_same_epoch') t.equal(absent, 0)
        t.comment(`${read} read, ${busy} busy, ${absent} absent`)
        t.same(plain(one(stats, '/if/rx'), 'combined'), rx?.value)
        stats.close()
        return
      }
      await server.write(mutation.writes)
      const text = refused[mutation.name]
      if (text !== undefined) t.throws(() => attach(server), { code: 'LS_E_VERSION', message: text })
      else {
        const outcome = outcomes[mutation.name]
        t.ok(outcome, 'an outcome is known')
        outcome?.(t, stats) // attached before the damage, with its handles
        const fresh = attach(server)
        outcome?.(t, fresh)
        fresh.close()
      }
      stats.close()
    })
  }
})

t.test('counters in one call: two numbers for each name, in the order asked', { skip }, async t => {
  const server = await StatsServer.start('worker')
  t.teardown(() => { server.stop() })
  const stats = attach(server)
  t.same([...stats.counters(['/net/route/to', '/no', '/sys/num_worker_threads', '/sys/loops_per_worker', '/net/route/to'], 18).subarray(0, 6)], [1000, 36000, NaN, NaN, 1, NaN])
  t.same([...stats.counters(['/sys/loops_per_worker'], 0)], [6032, NaN])
  t.same([...stats.counters([], 0)], [])
  stats.close()
})

t.test('who is not there, or is no VPP, is an error with a code; so is misuse', { skip }, async t => {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-stats-'))
  t.teardown(() => { rmSync(dir, { recursive: true, force: true }) })
  t.throws(() => new core.VppStats(join(dir, 'none'), 100), { code: 'LS_E_SYSTEM', message: /none: nobody listens on the stats socket: No such file/ })
  const stream = createServer()
  await new Promise<void>(resolve => { stream.listen(join(dir, 'stream'), resolve) })
  t.throws(() => new core.VppStats(join(dir, 'stream'), 100), { code: 'LS_E_SYSTEM', message: /cannot connect to the stats socket: Protocol wrong type/ })
  stream.close()
  const make = core.VppStats as new (...args: unknown[]) => NativeVppStats
  for (const args of [[], [1, 2], ['/x'], ['/x', -1], ['/x\0', 1]]) t.throws(() => new make(...args), TypeError)
  const server = await StatsServer.start('worker')
  t.teardown(() => { server.stop() })
  const stats = attach(server)
  const call = stats as unknown as Record<string, (...args: unknown[]) => unknown>
  for (const [name, ...args] of [['read'], ['read', 'x'], ['read', [1]], ['read', ['x'.repeat(129)]], ['counters', ['x']], ['counters', ['x'], -1], ['records', 'x', 0, 0], ['records', 'x'.repeat(200), 0, 0n]] as const) {
    t.throws(() => call[name]?.(...args), TypeError, `${name}(${JSON.stringify(args, (_, v: unknown) => typeof v === 'bigint' ? String(v) : v)})`)
  }
  stats.close()
  stats.close()
  for (const [name, ...args] of [['read', []], ['counters', [], 0], ['directory'], ['records', 'x', 0, 0n], ['epoch'], ['heartbeat']] as const) {
    t.throws(() => call[name]?.(...args), { code: 'LS_E_INVALID', message: 'the stats segment is closed' })
  }
})
