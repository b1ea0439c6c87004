/**
 * One suite for every backend: what contract/dataplane.ts promises, results and order of effects. A backend joins with a MakeBackend; the packets
 * are in suite-packets.ts.
 */
import type { Test } from 'tap'
import { LockstepError } from '../../src/contract/errors.js'
import type { SessionFilter } from '../../src/contract/session.js'
import { loadCore } from '../../src/native/load.js'
import { capability, column, counter, screen, status } from '../../src/generated/codes.js'
import { never, type Effect, type MakeBackend, type Rig } from './rig.js'
import { packetSuite } from './suite-packets.js'
import { concat, DELETE, idText, ORIGIN, RECORD, reversed, tuples, wireDelete, wireRecord, type Tuple, type WireSpec } from './wire.js'
import { limits } from '../../src/generated/layout.js'
import { until } from '../until.js'

const statusOf = (name: string): number => status.findIndex(s => s.name === name)
const OK = statusOf('ok')
const counted = (rig: Pick<Rig, 'dataplane'>, name: (typeof counter)[number]['name']): number => rig.dataplane.telemetry.snapshot().blocks['global']?.[counter.findIndex(c => c.name === name)] ?? 0

/** Two zones, each behind a capture file that says nothing; `extra` is more YAML. Ports are named as user space has them: a rig puts its own in their place. */
const quiet = (extra = '', ports: readonly string[] = ['a', 'b']): string => `
interfaces:
${ports.map((p, i) => `  ${p}: {port: "pcap:,${p}.out", mac: "02:00:00:00:00:0${i + 1}", zone: z${p}, addresses: [10.0.${i}.1/24], neighbours: {10.0.${i}.2: "02:00:00:00:01:0${i + 1}"}}`).join('\n')}
zones:
${ports.map(p => `  z${p}: {}`).join('\n')}
${extra}
`
const permit = 'policies: [{name: all, action: permit}]\n'

export function conformance (t: Test, makeBackend: MakeBackend): void {
  const withRig = (name: string, run: (t: Test, rig: Rig) => Promise<void>, capacity?: number): void => {
    t.test(name, async t => {
      const rig = await makeBackend(capacity === undefined ? {} : { capacity })
      t.teardown(async () => { await rig.close() })
      await rig.dataplane.start(never)
      await run(t, rig)
    })
  }
  /** Timeouts hold only once a configuration does. */
  const withConfig: WithRig = (name, run, capacity) => {
    withRig(name, async (t, rig) => {
      await rig.dataplane.config.apply(rig.desired(quiet()), 1, never)
      await run(t, rig)
    }, capacity)
  }
  const rejectsTyped = async (t: Test, what: string, work: () => unknown, expected: Partial<LockstepError> = {}): Promise<void> => {
    try {
      await work()
      t.fail(`${what}: no error`)
    } catch (error) {
      t.ok(error instanceof LockstepError, `${what}: ${String(error)}`)
      t.match(error, expected, what)
    }
  }
  identity(withRig)
  configuration(withRig, rejectsTyped)
  sessions(withConfig, rejectsTyped)
  reconciliation(withConfig, rejectsTyped)
  deltas(withConfig)
  observing(withRig, rejectsTyped)
  loadBalancer(withRig)
  ending(withConfig, rejectsTyped)
  packetSuite(withRig)
}

export type WithRig = (name: string, run: (t: Test, rig: Rig) => Promise<void>, capacity?: number) => void
type RejectsTyped = (t: Test, what: string, work: () => unknown, expected?: Partial<LockstepError>) => Promise<void>

// --- who it is -----------------------------------------------------------------------------------------------------------

function identity (withRig: WithRig): void {
  withRig('every part exists, and every capability is answered with a reason for each "no"', async (t, { dataplane }) => {
    for (const part of ['config', 'sessions', 'deltas', 'telemetry', 'links', 'ha', 'loadBalancer'] as const) t.type(dataplane[part], 'object', part)
    const found = await dataplane.probe()
    t.equal(found.backend, dataplane.name)
    t.same(found.capabilities.map(c => c.name), capability.map(c => c.name), 'each capability once, in order')
    for (const c of [...found.capabilities, ...dataplane.capabilities]) t.equal(c.reason === '', c.supported, `${c.name}: ${c.reason}`)
    t.equal(found.reason === '', found.available)
  })
}

// --- configuration -------------------------------------------------------------------------------------------------------

function configuration (withRig: WithRig, rejectsTyped: RejectsTyped): void {
  withRig('an apply says everything a reader needs to turn ids into names', async (t, { dataplane, desired }) => {
    t.equal(dataplane.config.lastApplyResult(), null, 'nothing before the first apply')
    const d = desired(quiet(`${permit}
applications: {erp: {protocol: tcp, destination-port: 9000}}
vips: {web: {address: 10.9.9.9, port: 80, ring-size: 127, pools: [{reals: [{name: r1, address: 10.0.1.2, weight: 100}]}]}}
nat:
  pools: {p: {addresses: 203.0.113.9}}
  source: [{name: s, from: za, to: zb, translate: pool, pool: p}]
`))
    const r = await dataplane.config.apply(d, 41, never)
    t.equal(r.generation, 41)
    t.match(r.zoneIds, d.ids.zone && { za: d.ids.zone['za'], zb: d.ids.zone['zb'] })
    t.equal(r.policyNames[d.ids.policy['all'] ?? -1], 'all')
    t.equal(r.vips['web']?.id, d.ids.vip['web'])
    t.same(Object.keys(r.vips['web']?.reals ?? {}), ['r1'])
    t.ok(r.poolIds['p'])
    t.same(r.managedInterfaces.map(i => ({ name: i.name, addresses: i.addresses })), [{ name: 'a', addresses: ['10.0.0.1/24'] }, { name: 'b', addresses: ['10.0.1.1/24'] }])
    t.match(r.capabilities.supported, ['shared_table'])
    t.ok(Object.values(r.capabilities.unsupportedReasons).every(reason => reason !== ''))
    t.ok(Object.values(r.durations).every(ms => ms >= 0) && r.durations.totalMs > 0)
    t.equal(dataplane.telemetry.snapshot().generation, 41)
  })

  withRig('lastApplyResult is a deep copy', async (t, { dataplane, desired }) => {
    const r = await dataplane.config.apply(desired(quiet()), 1, never)
    const spoil = r as unknown as { zoneIds: Record<string, number>, warnings: string[] }
    spoil.zoneIds['za'] = 99
    spoil.warnings.push('spoilt')
    const again = dataplane.config.lastApplyResult() as unknown as typeof spoil
    again.zoneIds['zb'] = 98
    t.not(dataplane.config.lastApplyResult()?.zoneIds['za'], 99)
    t.not(dataplane.config.lastApplyResult()?.zoneIds['zb'], 98)
    t.notMatch(dataplane.config.lastApplyResult()?.warnings, ['spoilt'])
  })

  withRig('H80 write first, delete stale after: ports open before the flip, close after it, sessions are looked up last', async (t, { dataplane, desired, journal }) => {
    await dataplane.config.apply(desired(quiet('reload: {policy-rematch: true}', ['a', 'b'])), 1, never)
    journal.length = 0
    await dataplane.config.apply(desired(quiet('reload: {policy-rematch: true}', ['b', 'c'])), 2, never)
    const expected: Effect[] = ['open port', 'flip', 'routes', 'neighbours', 'enable port', 'close port', 'sessions looked up again']
    t.same(journal.filter((e, i) => e !== journal[i - 1]), expected)
    t.same(dataplane.links.list().map(l => l.mac).sort(), ['02:00:00:00:00:01', '02:00:00:00:00:02'], 'b and c')
  })

  withRig('a port that cannot be opened: nothing has changed, and the error says which and what next', async (t, { dataplane, desired, journal }) => {
    await dataplane.config.apply(desired(quiet()), 1, never)
    const [before, links] = [dataplane.config.lastApplyResult(), dataplane.links.list().map(l => l.device)]
    journal.length = 0
    const bad = quiet('', ['a', 'b', 'c']).replace('pcap:,c.out', 'pcap:missing.pcap')
    await rejectsTyped(t, 'a missing capture', () => dataplane.config.apply(desired(bad), 2, never), { errorClass: 'invalid' })
    t.same(journal.filter(e => e === 'flip' || e === 'close port'), [], 'no flip')
    t.same(dataplane.config.lastApplyResult(), before)
    t.equal(dataplane.telemetry.snapshot().generation, 1)
    t.same(dataplane.links.list().map(l => l.device), links, 'what was opened for it is closed')
  })

  withRig('a flip that fails or is cancelled before: the last good generation stays in force', async (t, rig) => {
    const { dataplane, desired } = rig
    const lb = 'vips: {web: {address: 10.9.9.9, port: 80, ring-size: 65537, pools: [{reals: [{name: r1, address: 10.0.1.2, weight: 100}]}]}}'
    await dataplane.config.apply(desired(quiet(lb)), 1, never)
    const inForce = async (): Promise<unknown> => ({ last: dataplane.config.lastApplyResult(), rings: await dataplane.loadBalancer.readBack(), links: dataplane.links.list().map(l => l.device) })
    const before = await inForce()
    rig.before = (effect) => { if (effect === 'flip') throw Object.assign(new Error('no'), { code: 'LS_E_SYSTEM' }) }
    const other = desired(quiet(lb.replace('web:', 'web2:').replace('10.9.9.9', '10.9.9.8'), ['a', 'b', 'c']))
    for (let i = 0; i < 12; i++) await rejectsTyped(t, 'a failing flip', () => dataplane.config.apply(other, 2, never), { errorClass: 'unavailable' })
    rig.before = null
    t.same(await inForce(), before)
    await t.rejects(dataplane.config.apply(other, 2, AbortSignal.abort()), { name: 'AbortError' })
    t.equal(dataplane.telemetry.snapshot().generation, 1)
    const r = await dataplane.config.apply(other, 3, never)
    t.equal(r.generation, 3, 'the failures cost no room in the arena')
  })

  withRig('a committed write is followed by its refresh, even if the caller cancels in between', async (t, rig) => {
    const { dataplane, desired, journal } = rig
    await dataplane.config.apply(desired(quiet('', ['a', 'b'])), 1, never)
    journal.length = 0
    const caller = new AbortController()
    rig.before = (effect) => { if (effect === 'flip') caller.abort() }
    const r = await dataplane.config.apply(desired(quiet('reload: {policy-rematch: true}', ['b', 'c'])), 2, caller.signal)
    rig.before = null
    t.equal(r.generation, 2)
    t.same(journal.slice(journal.indexOf('flip')).filter((e, i, all) => e !== all[i - 1]), ['flip', 'routes', 'neighbours', 'enable port', 'close port', 'sessions looked up again'])
  })

  withRig('what fails after the flip is a warning: the generation is in force and the result says so', async (t, rig) => {
    const { dataplane, desired } = rig
    await dataplane.config.apply(desired(quiet('', ['a', 'b'])), 1, never)
    rig.before = (effect) => { if (effect === 'routes') throw Object.assign(new Error('no memory'), { code: 'LS_E_NOMEM' }) }
    const r = await dataplane.config.apply(desired(quiet('', ['b', 'c'])), 2, never)
    rig.before = null
    t.match(r.warnings, [/routes: .*no memory/])
    t.equal(dataplane.config.lastApplyResult()?.generation, 2)
    t.equal(dataplane.telemetry.snapshot().generation, 2)
    t.equal(dataplane.links.list().length, 2, 'the new port is open, the old one closed')
  })

  withRig('two applies at once happen one after the other', async (t, { dataplane, desired, journal }) => {
    const results = await Promise.all([1, 2, 3, 4].map(async g => await dataplane.config.apply(desired(quiet('', g % 2 === 0 ? ['a', 'b'] : ['b', 'c'])), g, never)))
    t.same(results.map(r => r.generation), [1, 2, 3, 4])
    t.equal(dataplane.config.lastApplyResult()?.generation, 4)
    t.equal(dataplane.telemetry.snapshot().generation, 4)
    const flips = journal.flatMap((e, i) => e === 'flip' ? [i] : [])
    flips.forEach((at, n) => { t.ok(journal.slice(at, flips[n + 1] ?? journal.length).indexOf('neighbours') > 0, `apply ${n + 1} was finished before the next`) })
  })

  withRig('a port whose settings change is opened anew', async (t, { dataplane, desired }) => {
    const source = (rate: number): string => `
interfaces:
  a: {port: "source:clients", zone: za, addresses: [10.0.0.1/24]}
  b: {port: "source:servers", zone: zb, addresses: [10.0.1.1/24]}
traffic-sources:
  clients: {source: 10.0.0.2, destination: 10.0.1.2, port: 80, flows: 1, rate: ${rate}}
  servers: {mode: answer}
zones: {za: {}, zb: {}}
`
    const devices = (): Map<string, number> => new Map(dataplane.config.lastApplyResult()?.managedInterfaces.map(i => [i.name, i.device]))
    await dataplane.config.apply(desired(source(1)), 1, never)
    const before = devices()
    await dataplane.config.apply(desired(source(2)), 2, never)
    const after = devices()
    t.same(dataplane.links.list().map(l => l.device).sort(), [...after.values()].sort(), 'these two and no other')
    t.not(after.get('a'), before.get('a'))
    t.equal(after.get('b'), before.get('b'), 'the unchanged one stays open')
  })
}

// --- sessions ------------------------------------------------------------------------------------------------------------

const install = (rig: Rig, specs: readonly WireSpec[], synced = false): number[] => {
  if (specs.length > limits.LS_WRITER_BATCH) return [...install(rig, specs.slice(0, limits.LS_WRITER_BATCH), synced), ...install(rig, specs.slice(limits.LS_WRITER_BATCH), synced)]
  const state = new Uint8Array(specs.length)
  const { sessions } = rig.dataplane
  const records = concat(specs.map(wireRecord))
  const r = synced ? sessions.putClusterSynced(records, state) : sessions.install(records, state)
  const all = r.installed + r.conflicts + r.full + r.invalid
  if (all !== specs.length) throw new Error(`${all} of ${specs.length} are accounted for`)
  return [...state]
}
const intact = async (t: Test, rig: Rig, live: number): Promise<void> => {
  const v = await rig.dataplane.sessions.verify()
  t.same(v.faults, [], 'no fault')
  t.equal(v.ok, true)
  t.equal(v.live, live)
  t.equal(v.entries, 2 * live, 'two index entries a session (H22, H23, H24)')
  t.equal(v.live + v.creating + v.dying + v.dead + v.free, v.slots)
}
const tuple = (over: Partial<Tuple> = {}): Tuple => ({ src: '10.1.1.1', dst: '192.0.2.1', sport: 40000, dport: 443, proto: 6, ...over })

function sessions (withRig: WithRig, rejectsTyped: RejectsTyped): void {
  withRig('an installed session is read back field by field', async (t, rig) => {
    const spec: WireSpec = {
      key: tuple(), reply: { ...reversed(tuple()), src: '10.5.5.5', sport: 8443 }, serial: 77n, rg: 3, app: 0, zoneIn: 5, zoneOut: 6, policy: 7, vip: 8, real: 9, idleMs: 5000, ageMs: 60000,
      packets: [3n, 2n ** 40n], bytes: [1500n, 2n ** 50n], flags: 2
    }
    const six: WireSpec = { key: { src: '2001:db8::1', dst: '2001:db8::2', sport: 1, dport: 65535, proto: 17, domain: 9 }, serial: 78n, phase: 'udp_new' }
    t.same(install(rig, [spec, six]), [OK, OK])
    const row = await rig.dataplane.sessions.get(idText(77n))
    t.match(row, {
      id: idText(77n), family: 4, protocol: 6, source: '10.1.1.1', sourcePort: 40000, destination: '192.0.2.1', destinationPort: 443, replySource: '10.5.5.5', replySourcePort: 8443,
      replyDestination: '10.1.1.1', replyDestinationPort: 40000, rg: 3, zoneIn: 5, zoneOut: 6, policy: 7, vip: 8, real: 9, phase: 'tcp_established', packetsForward: 3n, packetsReply: 2n ** 40n,
      bytesForward: 1500n, bytesReply: 2n ** 50n
    })
    t.ok(row !== null && row.idleMs >= 5000 && row.ageMs >= 60000 && row.flags.includes('dnat') && row.flags.includes('peer'))
    t.match(await rig.dataplane.sessions.get(idText(78n).toUpperCase()), { family: 6, source: '2001:db8::1', destinationPort: 65535, phase: 'udp_new' })
    t.equal(await rig.dataplane.sessions.get(idText(79n)), null)
    await rejectsTyped(t, 'not an id', () => rig.dataplane.sessions.get('77'), { errorClass: 'invalid' })
  })

  withRig('H25, H36 install: each record wholly or not at all, with its own status', async (t, rig) => {
    const taken = tuple({ sport: 1 })
    const specs: WireSpec[] = [
      { key: taken }, { key: taken }, { key: tuple({ sport: 2 }), reply: reversed(taken) }, { key: tuple({ sport: 3 }), version: 9 }, { key: tuple({ sport: 4 }), zoneIn: 64 },
      { key: tuple({ sport: 5 }), rg: 16 }, { key: tuple({ sport: 6 }), reply: { ...reversed(tuple()), proto: 17 } }, { key: tuple({ sport: 7 }), serial: 0n, origin: 0n }, { key: tuple({ sport: 8 }) }
    ]
    const state = install(rig, specs)
    t.same(state.map(s => status[s]?.name), ['ok', 'e_conflict', 'e_conflict', 'e_version', 'e_record', 'e_record', 'e_record', 'e_record', 'ok'])
    t.equal(await rig.dataplane.sessions.count({}), 2)
    await intact(t, rig, 2)
    await rejectsTyped(t, 'a cut batch', () => rig.dataplane.sessions.install(new Uint8Array(RECORD + 1), new Uint8Array(2)), { errorClass: 'invalid' })
    await rejectsTyped(t, 'no room for the status', () => rig.dataplane.sessions.install(concat(specs.map(wireRecord)), new Uint8Array(1)), { errorClass: 'invalid' })
    const many = new Uint8Array((limits.LS_WRITER_BATCH + 1) * RECORD)
    await rejectsTyped(t, 'a batch that would hold the thread', () => rig.dataplane.sessions.install(many, new Uint8Array(limits.LS_WRITER_BATCH + 1)), { errorClass: 'exhausted' })
    t.same(rig.dataplane.sessions.install(new Uint8Array(0), new Uint8Array(0)), { installed: 0, replaced: 0, conflicts: 0, full: 0, invalid: 0 })
  })

  withRig('a full table refuses with full, and takes again what was made room for', async (t, rig) => {
    const all = tuples(rig.capacity * 2)
    t.same(new Set(install(rig, all.slice(0, rig.capacity).map(key => ({ key })))), new Set([OK]), 'the capacity is a promise')
    const more = install(rig, all.slice(rig.capacity).map(key => ({ key })))
    t.same([...new Set(more.map(s => status[s]?.name))].sort(), ['e_full', 'ok'])
    const live = rig.capacity + more.filter(s => s === OK).length
    t.equal(await rig.dataplane.sessions.count({}), live)
    await intact(t, rig, live)
    t.same(await rig.dataplane.sessions.deleteByFilter({ source: '10.0.0.0/22' }, never), { matched: 1024, deleted: 1024 })
    const left = live - 1024
    t.same(new Set(install(rig, tuples(rig.capacity - left, 17).map(key => ({ key })))), new Set([OK]))
    await intact(t, rig, rig.capacity)
  }, 1024)

  withRig('sessions of several reals end in one walk, and nobody else', async (t, rig) => {
    const reals = [1, 2, 3, 2, limits.LS_REALS_MAX - 1]
    t.same(new Set(install(rig, tuples(1000).map((key, i) => ({ key, real: reals[i % reals.length] })))), new Set([OK]))
    const { sessions } = rig.dataplane
    t.same(await sessions.deleteReals([2, limits.LS_REALS_MAX - 1, 9, 65_535]), { matched: 600, deleted: 600 })
    t.same(await Promise.all(reals.map(async real => await sessions.count({ real }))), [200, 0, 200, 0, 0])
    t.same(await sessions.deleteReals([]), { matched: 0, deleted: 0 })
    await intact(t, rig, 400)
  }, 1024)

  withRig('a listing resumes at its cursor and shows each session once', async (t, rig) => {
    const keys = tuples(1000)
    install(rig, keys.map((key, i) => ({ key, serial: BigInt(10_000 + i) })))
    for (const page of [1, 7, 256, 5000]) {
      const seen: string[] = []
      let calls = 0
      for (let cursor: number | null = 0; cursor !== null; calls++) {
        const step: ReturnType<typeof rig.dataplane.sessions.list> = rig.dataplane.sessions.list({ protocol: 6 }, ['sport', 'id'], cursor, page)
        t.ok(step.rows <= page || t.fail(`${step.rows} rows`))
        const ids = step.columns.get('id') ?? new Uint8Array()
        if (ids.length !== 16 * step.rows || step.columns.get('sport')?.length !== 2 * step.rows) t.fail('a column has another length')
        for (let i = 0; i < step.rows; i++) seen.push(Buffer.from(ids.subarray(16 * i, 16 * i + 16)).toString('hex'))
        if (step.cursor !== null && step.cursor <= cursor) t.fail('the cursor did not move')
        cursor = step.cursor
      }
      t.equal(seen.length, 1000, `pages of ${page}: ${calls} calls`)
      t.equal(new Set(seen).size, 1000)
    }
    t.same(rig.dataplane.sessions.list({}, ['id'], 0xfffffff0, 10), { rows: 0, columns: new Map([['id', new Uint8Array()]]), cursor: null }, 'beyond the end')
    const every = rig.dataplane.sessions.list({}, column.map(c => c.name), 0, 10)
    t.same([...every.columns].map(([name, bytes]) => [name, bytes.length]), column.map(c => [c.name, c.bytes * 10]))
    await rejectsTyped(t, 'an unknown column', () => rig.dataplane.sessions.list({}, ['nothing'], 0, 10), { errorClass: 'invalid' })
    await rejectsTyped(t, 'a cursor below zero', () => rig.dataplane.sessions.list({}, ['id'], -1, 10), { errorClass: 'invalid' })
  })

  withRig('forEachBatch reaches every session, and stops when it is told to', async (t, rig) => {
    install(rig, tuples(40_000).map(key => ({ key })))
    let rows = 0
    for await (const batch of rig.dataplane.sessions.forEachBatch({}, ['slot'], never)) rows += batch.rows
    t.equal(rows, 40_000)
    const stop = new AbortController()
    await t.rejects(async () => {
      for await (const batch of rig.dataplane.sessions.forEachBatch({}, ['slot'], stop.signal)) {
        rows = batch.rows
        stop.abort()
      }
    }, { name: 'AbortError' })
    await t.rejects(async () => { for await (const _ of rig.dataplane.sessions.forEachBatch({}, ['slot'], AbortSignal.abort())) t.fail('a batch after the abort') }, { name: 'AbortError' })
  }, 65536)

  withRig('a filter finds what it says, in count, list and delete alike', async (t, rig) => {
    install(rig, [
      { key: tuple({ sport: 1000 }), rg: 1, policy: 11, zoneIn: 1, ageMs: 100_000, idleMs: 50_000 },
      { key: tuple({ sport: 1001, src: '10.1.1.2', proto: 17 }), phase: 'udp_new', rg: 2, policy: 12, vip: 4, real: 5 },
      { key: { src: '2001:db8::1', dst: '2001:db8::2', sport: 1000, dport: 53, proto: 17 }, phase: 'udp_stream', zoneOut: 9 },
      { key: tuple({ sport: 1003, dst: '198.51.100.1' }), reply: { ...reversed(tuple({ sport: 1003 })), src: '10.99.0.1', sport: 8080 }, flags: 2, ageMs: 10 },
      { key: tuple({ sport: 1004, domain: 3 }), app: 6, phase: 'tcp_close' }
    ])
    const cases: ReadonlyArray<readonly [SessionFilter, number]> = [
      [{}, 5], [{ protocol: 17 }, 2], [{ family: 6 }, 1], [{ source: '10.1.1.0/30' }, 4], [{ source: '10.1.1.2' }, 1], [{ destination: '2001:db8::/32' }, 1], [{ destination: '0.0.0.0/0' }, 4],
      [{ address: '10.99.0.0/16' }, 1], [{ port: 8080 }, 1], [{ sourcePort: 1000 }, 2], [{ destinationPort: 53 }, 1], [{ rg: 1 }, 1], [{ policy: 12 }, 1], [{ vip: 4, real: 5 }, 1], [{ vip: 4, real: 6 }, 0],
      [{ zoneOut: 9 }, 1], [{ domain: 3 }, 1], [{ app: 6 }, 1], [{ phases: ['TCP_CLOSE', 'udp_new'] }, 2], [{ phases: [] }, 0], [{ dnat: true }, 1], [{ dnat: false }, 4], [{ snat: true }, 0], [{ fromPeer: true }, 5],
      [{ minIdleMs: 40_000 }, 1], [{ minAgeMs: 90_000 }, 1], [{ maxAgeMs: 500 }, 1]
    ]
    for (const [filter, expected] of cases) {
      t.equal(await rig.dataplane.sessions.count(filter), expected, JSON.stringify(filter))
      t.equal(rig.dataplane.sessions.list(filter, ['slot'], 0, 100).rows, expected)
    }
    for (const wrong of [{ protocol: 262 }, { rg: 256 }, { port: -1 }, { zoneIn: 1.5 }, { vip: NaN }, { minIdleMs: -1 }, { maxAgeMs: Infinity }, { source: '10.0.0.0/33' }, { phases: ['open'] }, { id: 'x' }, { minAgeMs: 1, maxAgeMs: 2 }]) {
      await rejectsTyped(t, JSON.stringify(wrong), () => rig.dataplane.sessions.deleteByFilter(wrong, never), { errorClass: 'invalid' })
    }
    t.equal(await rig.dataplane.sessions.count({}), 5, 'a refused filter ends nothing')
    t.same(await rig.dataplane.sessions.deleteByFilter({ protocol: 17 }, never), { matched: 2, deleted: 2 })
    t.same(await rig.dataplane.sessions.deleteByFilter({ protocol: 17 }, never), { matched: 0, deleted: 0 }, 'H21 the counts are true')
    await t.rejects(rig.dataplane.sessions.deleteByFilter({}, AbortSignal.abort()), { name: 'AbortError' })
    await intact(t, rig, 3)
  })

  withRig('H26 a late delete misses a tuple that was opened again', async (t, rig) => {
    const key = tuple()
    install(rig, [{ key, serial: 1n }])
    const first = wireDelete({ key, serial: 1n })
    t.same(await rig.dataplane.sessions.deleteById(first), { matched: 1, deleted: 1 })
    install(rig, [{ key, serial: 2n }])
    t.same(await rig.dataplane.sessions.deleteById(first), { matched: 0, deleted: 0 })
    t.same(await rig.dataplane.sessions.deleteById(wireDelete({ key, serial: 2n, origin: ORIGIN + 1n })), { matched: 0, deleted: 0 }, 'another origin is another session')
    t.ok(await rig.dataplane.sessions.get(idText(2n)))
    await intact(t, rig, 1)
    await rejectsTyped(t, 'a cut row', () => rig.dataplane.sessions.deleteById(new Uint8Array(DELETE + 8)), { errorClass: 'invalid' })
  })

  withRig('H21 a batch of deletes tells how many it met and how many it ended', async (t, rig) => {
    const keys = tuples(50)
    install(rig, keys.map((key, i) => ({ key, serial: BigInt(100 + i) })))
    const rows = concat([...keys, ...keys.slice(0, 10), tuple()].map((key, i) => wireDelete({ key, serial: BigInt(100 + i % 50) })))
    const r = await rig.dataplane.sessions.deleteById(rows)
    t.equal(r.deleted, 50, 'each once')
    await intact(t, rig, 0)
  })
}

// --- reconciliation ------------------------------------------------------------------------------------------------------

function reconciliation (withRig: WithRig, rejectsTyped: RejectsTyped): void {
  const PEER = 1 << 2 | 1 << 3
  const populate = (rig: Rig): void => {
    install(rig, tuples(30).map((key, i) => ({ key, serial: BigInt(1000 + i), rg: 2 })))
    install(rig, tuples(10, 17).map((key, i) => ({ key, serial: BigInt(2000 + i), rg: 1 })))
    install(rig, [{ key: tuple({ dport: 22 }), serial: 3000n, rg: 255 }])
  }
  const input = { peerOwned: PEER, began: true, sourceFailed: false }

  withRig('bulk end removes what the peer owns and did not send, companions included (H1, H21, H22)', async (t, rig) => {
    populate(rig)
    rig.dataplane.sessions.bulkBegin()
    const sent = install(rig, tuples(30).slice(0, 20).map((key, i) => ({ key, serial: BigInt(1000 + i), rg: 2, packets: [9n, 9n] as const })), true)
    t.same(new Set(sent), new Set([OK]), 'the same session again takes over its newer state')
    const r = await rig.dataplane.sessions.reconcileClusterBulk(input)
    t.match(r, { stale: 10, deleted: 10, scanned: 30 })
    t.equal(await rig.dataplane.sessions.count({}), 31)
    t.match(await rig.dataplane.sessions.get(idText(1000n)), { packetsForward: 9n })
    t.equal(await rig.dataplane.sessions.get(idText(1029n)), null)
    await intact(t, rig, 31)
    t.match(await rig.dataplane.sessions.reconcileClusterBulk(input), { stale: 0, deleted: 0 }, 'again: nothing is stale')
  })

  withRig('H4 the ownership snapshot of bulk begin decides, not what holds at the end', async (t, rig) => {
    populate(rig)
    rig.dataplane.sessions.bulkBegin()
    rig.dataplane.ha.setRole(2, 'owner', 5n) // ours since: the snapshot that the caller passes no longer names it
    t.match(await rig.dataplane.sessions.reconcileClusterBulk({ ...input, peerOwned: 1 << 3 }), { scanned: 0, stale: 0, deleted: 0 })
    await intact(t, rig, 41)
  })

  withRig('H5 an empty received set after a real begin is authoritative; an end without a begin deletes nothing', async (t, rig) => {
    populate(rig)
    await rejectsTyped(t, 'a spurious end', () => rig.dataplane.sessions.reconcileClusterBulk({ ...input, began: false }))
    await intact(t, rig, 41)
    rig.dataplane.sessions.bulkBegin()
    t.match(await rig.dataplane.sessions.reconcileClusterBulk(input), { stale: 30, deleted: 30 })
    await intact(t, rig, 11)
  })

  withRig('H7 a session that arrives between the peer\'s snapshot and the bulk end stays', async (t, rig) => {
    populate(rig)
    rig.dataplane.sessions.bulkBegin()
    install(rig, [{ key: tuple({ dport: 8443 }), serial: 4000n, rg: 2 }], true)
    await rig.dataplane.sessions.reconcileClusterBulk(input)
    t.ok(await rig.dataplane.sessions.get(idText(4000n)))
    await intact(t, rig, 12)
  })

  withRig('H19 a source that failed deletes nothing', async (t, rig) => {
    populate(rig)
    rig.dataplane.sessions.bulkBegin()
    await rejectsTyped(t, 'a failed source', () => rig.dataplane.sessions.reconcileClusterBulk({ ...input, sourceFailed: true }))
    await intact(t, rig, 41)
  })

  withRig('a new bulk forgets the marks of the one before', async (t, rig) => {
    populate(rig)
    rig.dataplane.sessions.bulkBegin()
    install(rig, tuples(30).map((key, i) => ({ key, serial: BigInt(1000 + i), rg: 2 })), true)
    rig.dataplane.sessions.bulkBegin()
    t.match(await rig.dataplane.sessions.reconcileClusterBulk(input), { stale: 30, deleted: 30 })
    await intact(t, rig, 11)
  })

  withRig('H38, H40 what no group owns and what we own stays, whatever the peer sent', async (t, rig) => {
    populate(rig)
    rig.dataplane.sessions.bulkBegin()
    t.match(await rig.dataplane.sessions.reconcileClusterBulk({ ...input, peerOwned: 0xffff & ~(1 << 1) }), { deleted: 30 })
    t.ok(await rig.dataplane.sessions.get(idText(3000n)), 'a flow of the host')
    t.equal(await rig.dataplane.sessions.count({ rg: 1 }), 10)
  })
}

// --- deltas --------------------------------------------------------------------------------------------------------------

export const traffic = (flows: number, rate: number): string => `
interfaces:
  a: {port: "source:clients", zone: za, addresses: [10.0.0.1/24], neighbours: {10.0.0.2: "02:00:00:00:01:01"}}
  b: {port: "source:servers", zone: zb, addresses: [10.0.1.1/24], neighbours: {10.0.1.2: "02:00:00:00:01:02"}}
traffic-sources:
  clients: {source: 10.0.0.2, destination: 10.0.1.2, port: 53, protocol: udp, flows: ${flows}, rate: ${rate}}
  servers: {mode: answer}
zones: {za: {}, zb: {}}
redundancy-groups: {0: {description: all}}
policies: [{name: all, action: permit}]
`

function deltas (withRig: WithRig): void {
  withRig('drain is level-triggered: what was missed is told as it is now, each session once per change', async (t, rig) => {
    const { dataplane } = rig
    await dataplane.config.apply(rig.desired(traffic(40, 2000)), 1, never)
    await until('40 sessions with a reply', async () => await dataplane.sessions.count({ phases: ['udp_stream'] }) >= 40)
    t.same(dataplane.deltas.drain(new Uint8Array(0)), { records: 0, overruns: 0 }, 'no room: nothing is lost')
    t.same(dataplane.deltas.drain(new Uint8Array(RECORD - 1)), { records: 0, overruns: 0 })
    const seen = new Map<string, number>()
    const out = new Uint8Array(16 * RECORD)
    for (let quiet = 0; quiet < 3 && seen.size < 1000;) {
      const { records, overruns } = dataplane.deltas.drain(out)
      t.equal(overruns, 0)
      if (records > 16) t.fail('more than there is room for')
      for (let i = 0; i < records; i++) seen.set(Buffer.from(out.subarray(i * RECORD + 8, i * RECORD + 24)).toString('hex'), out[i * RECORD + 1] ?? 0)
      quiet = records === 0 ? quiet + 1 : 0
    }
    t.ok(seen.size >= 40, `${seen.size} sessions were told`)
  })

  withRig('drain of a ring that ran over counts what is lost, once', async (t, rig) => {
    const { dataplane } = rig
    await dataplane.config.apply(rig.desired(traffic(60_000, 0)), 1, never)
    const overruns = (): number => counted(rig, 'notice_overruns')
    await until('an overrun', () => overruns() > 0)
    await dataplane.config.apply(rig.desired(quiet()), 2, never)
    const out = new Uint8Array(65536 * RECORD)
    const first = dataplane.deltas.drain(out)
    t.equal(first.overruns, overruns(), 'all that were lost')
    t.equal(dataplane.deltas.drain(out).overruns, 0, 'and not again')
  }, 16384)

  withRig('deletions are told with their reason while somebody listens', async (t, rig) => {
    rig.listen(true)
    install(rig, tuples(5).map((key, i) => ({ key, serial: BigInt(500 + i) })))
    await rig.dataplane.sessions.deleteByFilter({}, never)
    const out = new Uint8Array(16 * RECORD)
    t.same(rig.dataplane.deltas.drain(out), { records: 5, overruns: 0 })
    for (let i = 0; i < 5; i++) t.same([out[i * RECORD + 1], out[i * RECORD + 3]], [4, 4], 'delete, admin')
    rig.listen(false)
  })
}

// --- telemetry, links ----------------------------------------------------------------------------------------------------

function observing (withRig: WithRig, rejectsTyped: RejectsTyped): void {
  withRig('a snapshot has its time, its generation and every block; packets move it', async (t, { dataplane, desired }) => {
    const first = dataplane.telemetry.snapshot()
    t.equal(first.generation, 0)
    t.ok(Object.values(first.blocks).every(b => b.every(v => v === 0)), 'a new table has counted nothing')
    await dataplane.config.apply(desired(traffic(10, 500)), 7, never)
    await until('packets', () => counted({ dataplane }, 'rx_packets') > 20)
    const second = dataplane.telemetry.snapshot()
    const third = dataplane.telemetry.snapshot()
    t.ok(second.timeNs > first.timeNs && third.timeNs >= second.timeNs, 'monotonic')
    t.equal(third.generation, 7)
    for (const [name, block] of Object.entries(second.blocks)) t.ok(block.every((v, i) => v <= (third.blocks[name]?.[i] ?? -1)), `${name} never falls`)
  })

  withRig('flood counters exist for every screen of every zone', async (t, { dataplane, desired }) => {
    const d = desired(`${traffic(50, 0)}\nscreens: {s: {udp-flood: 1}}\n`.replace('za: {}', 'za: {screen: s}'))
    await dataplane.config.apply(d, 1, never)
    const zone = d.ids.zone['za'] ?? 0
    await until('a flood', () => (dataplane.telemetry.readFloodCounters(zone)['udp_flood'] ?? 0) > 10)
    t.same(Object.keys(dataplane.telemetry.readFloodCounters(zone)).sort(), screen.map(s => s.name).sort())
    for (const wrong of [64, -1, 1.5, NaN]) await rejectsTyped(t, `zone ${wrong}`, () => dataplane.telemetry.readFloodCounters(wrong), { errorClass: 'invalid' })
  })

  withRig('links and neighbours are those of the configuration', async (t, { dataplane, desired, kind }) => {
    t.same(dataplane.links.list(), [])
    await dataplane.config.apply(desired(quiet()), 1, never)
    t.match(dataplane.links.list().map(({ kind, mac, mtu, up }) => ({ kind, mac, mtu, up })).sort((x, y) => x.mac < y.mac ? -1 : 1), [
      { kind, mac: '02:00:00:00:00:01', mtu: 1500, up: true }, { kind, mac: '02:00:00:00:00:02', mtu: 1500, up: true }
    ])
    t.equal(new Set(dataplane.links.list().map(l => l.device)).size, 2)
    t.match(dataplane.links.neighbours().map(({ address, mac, state }) => ({ address, mac, state })).sort((x, y) => x.address < y.address ? -1 : 1), [
      { address: '10.0.0.2', mac: '02:00:00:00:01:01', state: 'valid' }, { address: '10.0.1.2', mac: '02:00:00:00:01:02', state: 'valid' }
    ])
  })

  withRig('roles and leases decide who creates; what is not said stays', async (t, { dataplane, desired }) => {
    dataplane.ha.setRole(0, 'standby', 9n)
    dataplane.ha.stampLease(0, 2n ** 64n - 1n) // a lease makes nobody the owner
    await dataplane.config.apply(desired(traffic(20, 1000)), 1, never)
    const created = (): number => counted({ dataplane }, 'sessions_created')
    const drops = (): number => counted({ dataplane }, 'drops')
    await until('drops', () => drops() > 30)
    t.equal(created(), 0, 'a standby creates nothing')
    dataplane.ha.stampLease(0, 0n)
    dataplane.ha.setRole(0, 'owner', 10n) // an owner whose lease is over
    const before = drops()
    await until('drops', () => drops() > before + 30)
    t.equal(created(), 0, 'a role does not give a lease')
    dataplane.ha.stampLease(0, 2n ** 64n - 1n)
    await until('sessions', () => created() >= 20)
    for (const wrong of [16, -1, 1.5]) await rejectsTyped(t, `group ${wrong}`, () => { dataplane.ha.setRole(wrong, 'owner', 1n) }, { errorClass: 'invalid' })
    for (const wrong of [-1n, 2n ** 64n]) await rejectsTyped(t, `deadline ${wrong}`, () => { dataplane.ha.stampLease(0, wrong) }, { errorClass: 'invalid' })
  })
}

// --- load balancer -------------------------------------------------------------------------------------------------------

function loadBalancer (withRig: WithRig): void {
  const vips = (weights: Readonly<Record<string, number>>, other = ''): string => quiet(`${permit}
vips:
  web:
    address: 10.9.9.9
    port: 80
    ring-size: 1021
    pools: [{reals: [${Object.entries(weights).map(([name, weight]) => `{name: ${name}, address: 10.0.1.${10 + Number(name.slice(1))}, weight: ${weight}}`).join(', ')}]}]
${other}`)

  withRig('readBack is what was built: shares by weight, and a change moves only what must', async (t, { dataplane, desired }) => {
    const apply = async (text: string, generation: number): Promise<Map<string, number>> => {
      const r = await dataplane.config.apply(desired(text), generation, never)
      const names = new Map(Object.entries(r.vips['web']?.reals ?? {}).map(([name, id]) => [id, name]))
      const ring = (await dataplane.loadBalancer.readBack()).find(v => v.vip === 'web')
      t.equal(ring?.ringSize, 1021)
      return new Map(ring?.reals.map(real => [names.get(real.id) ?? `#${real.id}`, real.entries]))
    }
    t.same(await dataplane.loadBalancer.readBack(), [])
    const three = await apply(vips({ r1: 100, r2: 50, r3: 50 }), 1)
    const hash = (await dataplane.loadBalancer.readBack())[0]?.ringHash
    t.equal([...three.values()].reduce((x, y) => x + y, 0), 1021)
    for (const [name, share] of [['r1', 0.5], ['r2', 0.25], ['r3', 0.25]] as const) t.ok(Math.abs((three.get(name) ?? 0) - share * 1021) <= 1, `${name}: ${three.get(name)} of 1021`)

    await apply(vips({ r1: 100, r2: 50, r3: 50 }, '  other: {address: 10.9.9.8, port: 80, ring-size: 127, pools: [{reals: [{name: x, address: 10.0.1.9}]}]}\n'), 2)
    t.equal((await dataplane.loadBalancer.readBack()).find(v => v.ringSize === 1021)?.ringHash, hash, 'an unchanged ring keeps its place')
    t.equal((await dataplane.loadBalancer.readBack()).length, 2)

    const two = await apply(vips({ r1: 100, r2: 50 }), 3)
    t.equal((await dataplane.loadBalancer.readBack()).length, 1, 'a VIP that is gone takes its ring along')
    t.equal(two.has('r3'), false)
    for (const name of ['r1', 'r2']) t.ok((two.get(name) ?? 0) >= (three.get(name) ?? 0), `${name} lost nothing to the others`)
    t.equal([...two.values()].reduce((x, y) => x + y, 0), 1021)

    const back = await apply(vips({ r1: 100, r2: 50, r3: 50 }), 4)
    for (const [name, slots] of three) t.ok(Math.abs((back.get(name) ?? 0) - slots) <= 1, `${name} has its share again`)

    await dataplane.config.apply(desired(vips({ r1: 0, r2: 0, r3: 0 })), 5, never)
    t.same(await dataplane.loadBalancer.readBack(), [], 'without weight there is no ring')
  })

  withRig('what somebody wrote into its memory is found and put right, and what is right is left alone', async (t, { dataplane, desired, table, journal }) => {
    await dataplane.config.apply(desired(vips({ r1: 100, r2: 50, r3: 50 })), 1, never)
    const before = await dataplane.loadBalancer.readBack()
    const flips = (): number => journal.filter(e => e === 'flip').length
    const flipped = flips()
    t.match(await dataplane.loadBalancer.reconcile(), { vips: 1, rings: [], configBytes: 0 })
    t.equal(flips(), flipped)
    const [ring] = table.rings()
    const bytes = new Uint8Array((ring?.entries ?? 0) * 2)
    table.readArena(ring?.element ?? 0, bytes)
    for (const at of [0, 40, 2000]) bytes[at] = (bytes[at] ?? 0) ^ 0xff
    table.writeArena(ring?.element ?? 0, bytes)
    t.equal((await dataplane.loadBalancer.readBack())[0]?.drifted, 3)
    const bank = new Uint8Array(loadCore().configBytes)
    table.readConfig(bank)
    bank[bank.length - 9] = (bank[bank.length - 9] ?? 0) ^ 1
    table.writeConfig(bank)
    t.match(await dataplane.loadBalancer.reconcile(), { vips: 1, rings: [{ vip: 'web', entries: 3 }], configBytes: 1 })
    t.same(await dataplane.loadBalancer.readBack(), before)
    t.match(await dataplane.loadBalancer.reconcile(), { rings: [], configBytes: 0 })
  })

  withRig('many changes of ring sizes do not use the arena up', async (t, { dataplane, desired }) => {
    const sizes = [65537, 127, 65521, 1021, 65537, 251]
    for (let i = 0; i < 24; i++) {
      const size = sizes[i % sizes.length] ?? 127
      await dataplane.config.apply(desired(vips({ r1: 100, r2: 50 }).replace('ring-size: 1021', `ring-size: ${size}`)), i + 1, never)
      if ((await dataplane.loadBalancer.readBack())[0]?.ringSize !== size) t.fail(`size ${size}`)
    }
    t.equal(dataplane.config.lastApplyResult()?.generation, 24)
  })
}

// --- the end -------------------------------------------------------------------------------------------------------------

function ending (withRig: WithRig, rejectsTyped: RejectsTyped): void {
  withRig('close keeps the sessions, twice is once, and what comes after is a typed error', async (t, rig) => {
    await rig.dataplane.config.apply(rig.desired(quiet()), 2, never)
    install(rig, tuples(10).map(key => ({ key })))
    await Promise.all([rig.dataplane.close(), rig.dataplane.close()])
    await rig.dataplane.close()
    await intact(t, rig, 10)
    await rejectsTyped(t, 'apply after close', () => rig.dataplane.config.apply(rig.desired(quiet()), 2, never), { errorClass: 'unavailable' })
    await rejectsTyped(t, 'links after close', () => rig.dataplane.links.list())
    await rejectsTyped(t, 'start after close', () => rig.dataplane.start(never))
  })

  withRig('teardown wipes the sessions', async (t, rig) => {
    install(rig, tuples(10).map(key => ({ key })))
    await rig.dataplane.teardown()
    await intact(t, rig, 0)
  })

  withRig('an apply under way is finished before the close', async (t, rig) => {
    const apply = rig.dataplane.config.apply(rig.desired(quiet()), 1, never)
    const [result] = await Promise.all([apply, rig.dataplane.close()])
    t.equal(result.generation, 1)
  })
}
