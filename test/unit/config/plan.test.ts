/** The plan names every difference once, writes before it clears, and is empty for equal configurations. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseConfig } from '../../../src/config/parse.js'
import { planConfig } from '../../../src/config/plan.js'
import { capabilitiesOf as ofEbpf } from '../../../src/backend/ebpf/capabilities.js'
import { capabilitiesOf as ofUserspace } from '../../../src/backend/userspace/capabilities.js'
import { requiredCapabilities, unsupportedIssues } from '../../../src/config/requires.js'
import { base, desired, options, root } from './support.js'

const example = (name: string): string => readFileSync(join(root, `examples/${name}.yaml`), 'utf8')

t.test('equal configurations have an empty plan; from nothing everything is added', async t => {
  for (const name of ['quickstart', 'quickstart-unprivileged', 'edge-pair']) {
    const { desired: d } = parseConfig(example(name), { ...options, host: { ...options.host, node: 'edge-1' } })
    if (d === null) return t.fail(name)
    t.same(planConfig(d, d), [], name)
    const all = planConfig(null, d)
    t.ok(all.length > 20 && all.every(step => step.action === 'add'), name)
    t.same(planConfig(d, desired('{}')).filter(step => step.action === 'add'), [])
  }
})

t.test('new and changed things come first in dependency order, removals last in reverse', async t => {
  const from = desired(`${base}vips: {old: {address: 198.51.100.1, pools: [{reals: [{name: r, address: 10.1.0.5}]}]}}\npolicies: [{name: gone, from: inside, action: deny}, {name: stays, action: deny}]\n`)
  const to = desired(`${base.replace('outside: {}', 'outside: {tcp-loose: true}')}  third: {}\nvips: {new: {address: 198.51.100.2, pools: [{reals: [{name: r, address: 10.1.0.5, weight: 7}]}]}}\npolicies: [{name: stays, to: third, action: permit}, {name: fresh, action: deny}]\n`)
  t.same(planConfig(from, to).map(s => `${s.action} ${s.kind} ${s.name}`), [
    'change zone outside', 'add zone third', 'add vip new', 'add real new/r', 'change policy stays', 'add policy fresh', 'remove policy gone', 'remove real old/r', 'remove vip old',
  ].sort((a, b) => Number(a.startsWith('remove')) - Number(b.startsWith('remove'))))
  t.equal(planConfig(from, to).find(s => s.name === 'stays')?.detail, 'to +third; action deny -> permit')
})

t.test('a changed weight is one line; a moved policy says where it went', async t => {
  const vip = (weight: number): string => `vips: {v: {address: 198.51.100.1, pools: [{reals: [{name: r, address: 10.1.0.5, weight: ${weight}}]}]}}\n`
  t.same(planConfig(desired(vip(100)), desired(vip(50))), [{ action: 'change', kind: 'real', name: 'v/r', detail: 'weight 100 -> 50' }])
  const policies = (...names: string[]): string => `policies: [${names.map(n => `{name: ${n}, action: deny}`).join(', ')}]\n`
  t.same(planConfig(desired(policies('a', 'b', 'c', 'd')), desired(policies('a', 'c', 'd', 'b'))).map(s => `${s.name}: ${s.detail}`), ['b: moved after d'])
  t.same(planConfig(desired(policies('a', 'b', 'c')), desired(policies('c', 'a', 'b'))).map(s => `${s.name}: ${s.detail}`), ['c: moved to the top'])
})

t.test('settings that are read at the start say so', async t => {
  const [step] = planConfig(desired('agent: {table: {capacity: 64k}, log-level: info}\n'), desired('agent: {table: {capacity: 128k}, log-level: debug}\n'))
  t.equal(step?.detail, 'logLevel info -> debug; table.capacity 65536 -> 131072 (at the next start)')
  const [other] = planConfig(desired('agent: {backend: userspace}\n'), desired('agent: {backend: ebpf}\n'))
  t.equal(other?.detail, 'backend userspace -> ebpf', 'another backend forwards at once')
})

t.test('what a backend cannot do is refused with its reason and place', async t => {
  const d = desired(`${base}vips: {v: {address: 198.51.100.1, mode: gre, pools: [{reals: [{address: 10.1.0.5}]}]}}\npolicies: [{name: p, sync: before-forward, action: permit}]\n`)
  t.same(requiredCapabilities(d).map(r => r.capability).sort(), ['before_forward_sync', 'host_traffic', 'ipv6', 'ports_packet', 'vip_gre', 'zones'])
  t.match(unsupportedIssues(d, [{ name: 'vip_gre', supported: false, reason: 'needs kernel 9.9' }, { name: 'zones', supported: true, reason: '' }]), [
    { path: '/vips/v/mode', code: 'LS_C_UNSUPPORTED', found: 'needs kernel 9.9' },
  ])
  const found = { packet: true, tap: true, nft: true, nftOwner: true, hugepages: true }
  for (const capabilities of [ofUserspace(found), ofEbpf('')]) {
    t.match(unsupportedIssues(desired(`${base}policies: [{name: p, sync: before-forward, action: permit}]\n`), capabilities), [{ path: '/policies/0/sync', code: 'LS_C_UNSUPPORTED', found: /hold a packet back.*R21/ }])
  }
})

t.test('what may be secret is in no line, and that it changed is', async (t) => {
  const text = (s: string, more = ''): string => `
healthchecks:
  web: {type: http, http: {path: '/health?token=${s}', headers: {Authorization: 'Bearer ${s}'${more}}}, agent: {port: 9000, send: '${s}'}}
  own: {type: exec, exec: [/usr/bin/check, '${s}']}
bgp:
  sources: {frr: {type: frr}}
  report:
    sinks:
      hook: {type: webhook, url: 'https://hooks.example.net/${s}?key=${s}'}
`
  const lines = (from: string, to: string): string => planConfig(from === '' ? null : desired(from), desired(to)).map(step => `${step.kind} ${step.name}: ${step.detail}`).join('\n')
  for (const [from, to] of [['', text('SECRET1')], [text('SECRET1'), text('SECRET2', ", X-Key: 'SECRET3'")], [text('SECRET2', ", X-Key: 'SECRET3'"), text('SECRET1')], [text('SECRET1'), '{}']] as const) t.notMatch(lines(from, to), /SECRET/)
  const change = lines(text('SECRET1'), text('SECRET2', ", X-Key: 'SECRET3'"))
  for (const line of ['http.path changed', 'http.headers.Authorization changed', 'http.headers.X-Key none -> set', 'agent.send changed', 'argv changed', 'sinks.hook.url changed']) t.match(change, line)
  t.match(lines(text('x').replace('hooks.example.net', 'old.example.net'), text('x')), 'sinks.hook.url https://old.example.net -> https://hooks.example.net')
})
