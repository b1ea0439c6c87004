/** A change of who forwards: its events in order, what is refused and why, and that a failure gives everything back. */
import t from 'tap'
import { refusal, switchForwarder } from '../../../src/backend/table/switch.js'
import { SwitchWatch } from '../../../src/backend/switch-watch.js'
import { admitsAll, type Forwarder, type Program } from '../../../src/backend/table/forwarder.js'
import type { OpenPort } from '../../../src/backend/table/ports.js'
import { switchLosses } from '../../../src/backend/table/losses.js'
import type { BackendName, Capability } from '../../../src/contract/dataplane.js'
import { LockstepError } from '../../../src/contract/errors.js'
import type { SwitchEvent } from '../../../src/contract/services.js'
import { desired } from '../config/support.js'

const text = (port: string): string => `
interfaces:
  lan: {zone: z}
  wan: {zone: z${port}}
zones: {z: {}}
`
const kernelOnly = desired(text(''))
const withTap = desired(text(', port: "tap:up", addresses: [192.0.2.1/24]'))

/** What is called, in order; a step in `broken` throws. */
function forwarder (name: BackendName, journal: string[], broken: readonly string[] = [], taps = true): Forwarder {
  const step = (what: string, port?: OpenPort): void => {
    const line = `${name} ${what}${port === undefined ? '' : ` ${port.port.name}`}`
    journal.push(line)
    if (broken.includes(line)) throw new Error(`${line}: broken`)
  }
  return {
    name, parks: false, copies: true, program: null, admit: admitsAll, capabilities: [{ name: 'ports_packet', supported: true, reason: '' }, { name: 'ports_tap', supported: taps, reason: taps ? '' : 'kernel interfaces only' }],
    probe: () => ({ backend: name, available: true, reason: '', capabilities: [] }), inherited: () => new Map(),
    start: async () => { step('start') }, stop: async () => { step('stop') }, leave: async () => { step('leave') },
    open: (p) => { step('open', p) }, close: (p) => { step('close', p) }, handOver: async (p) => { step('hand over', p) }, enable: (p) => { step('enable', p) }, disable: (p) => { step('disable', p) },
    settle: () => ['port lan: slow'], degraded: () => [], guard: async () => { step('guard') }, unguard: async () => { step('unguard') }, signature: () => ''
  }
}

/** A dataplane with tables of its own. */
function program (journal: string[], broken: readonly string[]): Program {
  return {
    missing: () => '', links: () => [], status: () => { throw new Error('not asked') }, flush: async () => { await Promise.resolve() },
    loadBalancer: { ringHashes: () => new Map(), readBack: async () => await Promise.resolve([]), reconcile: async () => await Promise.reject(new Error('not asked')) },
    follow: async () => {
      await Promise.resolve()
      journal.push('follow')
      if (broken.includes('follow')) throw new Error('follow: broken')
      return ['VIP web: refused']
    }
  }
}

interface Ran { readonly journal: string[], readonly lines: Array<{ level: string } & Record<string, unknown>>, readonly error: unknown, readonly watch: SwitchWatch }

async function run (broken: readonly string[] = [], d = kernelOnly, programmed = false, force = false, dryRun = false): Promise<Ran> {
  const journal: string[] = []
  const lines: Ran['lines'] = []
  const line = (level: string) => (fields: object) => { lines.push({ level, ...fields }) }
  const watch = new SwitchWatch({ info: line('info'), warn: line('warn'), error: line('error') })
  const ports = d.ports.map((port, i): OpenPort => ({ port, device: i + 1, mac: '', mtu: 1500, ifindex: i + 2, spec: {} as OpenPort['spec'] }))
  const error: unknown = await switchForwarder({
    from: forwarder('userspace', journal, broken), to: { ...forwarder('ebpf', journal, broken, false), program: programmed ? program(journal, broken) : null }, desired: d, ports, gone: [], facts: {}, weight: () => 100, sessions: () => 7, force, dryRun, tell: (e: SwitchEvent) => { watch.tell(e) }
  }).then(() => null, (e: unknown) => e)
  return { journal, lines, error, watch }
}

t.test('begin, each port, end; the tally has the longest hand-over', async (t) => {
  const { lines, error, watch, journal } = await run()
  t.equal(error, null)
  const way = { from: 'userspace', to: 'ebpf' }
  t.match(lines, [
    { level: 'info', event: 'switch_begin', ...way, ports: ['lan', 'wan'] },
    { level: 'info', event: 'switch_port', ...way, port: 'lan', handOverUs: Number },
    { level: 'info', event: 'switch_port', ...way, port: 'wan', handOverUs: Number },
    { level: 'warn', event: 'switch_end', ...way, ports: 2, sessions: 7, totalMs: Number, longestHandOverUs: Number, warnings: ['port lan: slow'] }
  ])
  t.equal(lines.length, 4)
  t.match(watch.tally, { done: 1, refused: 0, failed: 0 })
  t.equal(watch.tally.lastHandOverUs, Math.max(Number(lines[1]?.['handOverUs']), Number(lines[2]?.['handOverUs'])))
  t.same(journal, ['ebpf guard', 'ebpf start', 'ebpf open lan', 'ebpf open wan', 'ebpf enable lan', 'userspace hand over lan', 'ebpf enable wan', 'userspace hand over wan', 'userspace close lan', 'userspace close wan', 'userspace leave'])
})

t.test('refused: the list of what would be lost, what needs it, and what to change; nothing is touched', async (t) => {
  const { lines, error, journal, watch } = await run([], withTap)
  t.match(error, { code: 'LS_B_SWITCH_LOSES', message: /ports_tap \(\/interfaces\/wan\/port\): kernel interfaces only; take \/interfaces\/wan\/port out of the configuration, apply that, and switch again; or accept the losses: lockstep backend switch ebpf --force/ })
  t.match(lines, [{ level: 'warn', event: 'switch_refused', class: 'unsupported', reason: /LS_B_SWITCH_LOSES/, lost: [{ capability: 'ports_tap', reason: 'kernel interfaces only', needed: ['/interfaces/wan/port'] }] }])
  t.same(journal.filter((l) => l !== 'ebpf unguard'), [])
  t.match(watch.tally, { done: 0, forced: 0, refused: 1, failed: 0, lastHandOverUs: 0 })
})

t.test('forced: a port that nobody could open is not given up, but for a dataplane with interfaces of its own', async (t) => {
  const ports = await run([], withTap, false, true)
  t.match(ports.error, { code: 'LS_B_SWITCH_LOSES', message: /cannot be given up.*: take \/interfaces\/wan\/port out/ })
  const { error, lines, watch } = await run([], withTap, true, true)
  t.equal(error, null)
  t.match(lines[0], { event: 'switch_begin', lost: [{ capability: 'ports_tap', reason: 'kernel interfaces only', needed: ['/interfaces/wan/port'] }] })
  t.match(lines.at(-1), { level: 'warn', event: 'switch_end', lost: 1 })
  t.match(watch.tally, { done: 1, forced: 1, refused: 0 })
})

t.test('tried only: what would be lost or why it is refused; nothing is touched or told', async (t) => {
  const refused = await run([], withTap, false, false, true)
  t.match(refused, { error: { code: 'LS_B_SWITCH_LOSES' }, journal: [], lines: [] })
  t.match(await run([], withTap, true, true, true), { error: null, journal: [], lines: [] })
  t.match(await run([], kernelOnly, false, false, true), { error: null, journal: [], lines: [] })
})

t.test('sessions of a table mean nothing to a dataplane that has its own, whichever way', async (t) => {
  const of = (shared: boolean, zones: boolean): { capabilities: Capability[] } => ({ capabilities: [{ name: 'shared_table', supported: shared, reason: shared ? '' : 'own tables' }, { name: 'zones', supported: zones, reason: zones ? '' : 'none' }] })
  const [table, vpp] = [of(true, true), of(false, false)]
  const sessions = { capability: 'shared_table', reason: 'own tables', needed: ['7 live sessions'] }
  t.same(switchLosses(table, table, kernelOnly, 7), [])
  t.same(switchLosses(table, vpp, kernelOnly, 7), [{ capability: 'zones', reason: 'none', needed: ['/zones'] }, sessions])
  t.same(switchLosses(table, vpp, null, 7), [sessions])
  t.same(switchLosses(vpp, table, kernelOnly, 7), [sessions], 'what the other had not either is not lost')
  t.same(switchLosses(vpp, table, kernelOnly, 0), [])
})

t.test('refused by a guard that cannot be set, or before there was a forwarder', async (t) => {
  const { lines, journal } = await run(['ebpf guard'])
  t.match(lines, [{ event: 'switch_refused', class: 'bug', reason: 'ebpf guard: broken', lost: [] }])
  t.same(journal, ['ebpf guard', 'ebpf unguard'])
  t.match(refusal({ from: 'userspace', to: 'vpp' }, new LockstepError('unsupported', 'LS_A_BACKEND', 'no')), { event: 'switch_refused', to: 'vpp', class: 'unsupported', reason: 'LS_A_BACKEND: no', lost: [] })
})

t.test('failed: ports are given back in reverse, and what cannot be undone is named', async (t) => {
  const { lines, error, journal, watch } = await run(['userspace hand over wan', 'userspace enable wan'])
  t.match(error, { message: 'userspace hand over wan: broken' })
  t.match(lines.at(-1), { level: 'error', event: 'switch_failed', back: ['wan', 'lan'], left: ['port wan: userspace enable wan: broken'], reason: 'userspace hand over wan: broken', totalMs: Number })
  t.same(journal.slice(-5), ['userspace enable wan', 'userspace enable lan', 'ebpf close lan', 'ebpf close wan', 'ebpf leave'])
  t.match(watch.tally, { done: 0, refused: 0, failed: 1 })
})

t.test('what the old one cannot put away is a warning: the new one forwards', async (t) => {
  const { lines, error } = await run(['userspace leave'])
  t.equal(error, null)
  t.match(lines.at(-1), { event: 'switch_end', warnings: ['what userspace left: userspace leave: broken', 'port lan: slow'] })
})

t.test('a dataplane that is programmed has everything before the first port is handed over; what it refuses is told, and when it cannot be programmed the other goes on', async (t) => {
  const { journal, lines } = await run([], kernelOnly, true)
  t.same(journal.slice(0, 6), ['ebpf guard', 'ebpf start', 'follow', 'ebpf open lan', 'ebpf open wan', 'ebpf enable lan'])
  t.match(lines.at(-1), { event: 'switch_end', warnings: ['VIP web: refused', 'port lan: slow'] })
  const failed = await run(['follow'], kernelOnly, true)
  t.match(failed.lines.at(-1), { event: 'switch_failed', back: [], left: [], reason: 'follow: broken' })
  t.same(failed.journal.slice(2), ['follow', 'ebpf close lan', 'ebpf close wan', 'ebpf leave'])
})
