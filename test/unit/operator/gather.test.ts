/** What tools print, as facts. The texts are those of Debian 12: nft 1.0.6, ethtool 6.1. */
import t from 'tap'
import { gatherDpdk } from '../../../src/operator/doctor/gather/dpdk.js'
import { parseChannels, parseFeatures, parseRss } from '../../../src/operator/doctor/gather/interface.js'
import { parseRuleset } from '../../../src/operator/doctor/gather/ruleset.js'
import { runTool } from '../../../src/operator/doctor/gather/tool.js'
import { effectOf, tracks, untracked } from '../../../src/operator/doctor/ruleset.js'
import type { Scope } from '../../../src/operator/doctor/scope.js'
import { isUnseen } from '../../../src/operator/doctor/seen.js'
import { desired } from '../config/support.js'
import { dpdk } from './facts.js'

const iif = (right: unknown, op = '=='): object => ({ match: { op, left: { meta: { key: 'iifname' } }, right } })
const notForUs = { match: { op: '!=', left: { fib: { result: 'type', flags: 'daddr' } }, right: 'local' } }
const rule = (chain: string, handle: number, ...expr: object[]): object => ({ rule: { family: 'inet', table: 'filter', chain, handle, expr } })
const base = (name: string, hook: string, policy = 'accept', type = 'filter'): object => ({ chain: { family: 'inet', table: 'filter', name, handle: 1, type, hook, prio: 0, policy } })
const ruleset = (...entries: object[]): string => JSON.stringify({ nftables: [{ metainfo: { version: '1.0.6', json_schema_version: 1 } }, { table: { family: 'inet', name: 'filter', handle: 1 } }, ...entries] })

t.test('rules: interfaces, also of sets, and whether something else is matched', async (t) => {
  const { chains } = parseRuleset(ruleset(
    { set: { family: 'inet', name: 's', table: 'filter', type: 'ifname', handle: 4, elem: ['va', 'wan'] } },
    base('forward', 'forward', 'drop'), { chain: { family: 'inet', table: 'filter', name: 'other', handle: 9 } },
    rule('forward', 6, { match: { op: 'in', left: { ct: { key: 'state' } }, right: ['established', 'related'] } }, { accept: null }),
    rule('forward', 8, iif('va'), { match: { op: '==', left: { meta: { key: 'oifname' } }, right: { set: ['vb', 'vc'] } } }, { drop: null }),
    rule('forward', 10, iif({ set: ['va', 'wan*'] }), { counter: { packets: 0, bytes: 0 } }, { accept: null }),
    rule('forward', 12, iif('@s'), { reject: { type: 'icmpx', expr: 'port-unreachable' } }),
    rule('forward', 13, iif('eth*', '!='), { jump: { target: 'other' } }),
    rule('forward', 14, iif('va'), notForUs, { notrack: null }),
    rule('forward', 15, iif('va'), { xt: null }),
    rule('forward', 16, { vmap: { key: { meta: { key: 'iifname' } }, data: { set: [] } } })
  ))
  const [forward, other] = chains
  t.same(forward?.base, { type: 'filter', hook: 'forward', policy: 'drop', devices: [] })
  t.equal(other?.base, null)
  const plain = { other: false, forwardedOnly: false, conntrack: false }
  t.same(forward?.rules, [
    { ...plain, handle: 6, input: null, other: true, conntrack: true, actions: ['accept'] },
    { ...plain, handle: 8, input: ['va'], other: true, actions: ['drop'] },
    { ...plain, handle: 10, input: ['va', 'wan*'], actions: ['accept'] },
    { ...plain, handle: 12, input: ['va', 'wan'], actions: ['reject'] },
    { ...plain, handle: 13, input: null, other: true, actions: ['jump'] },
    { ...plain, handle: 14, input: ['va'], other: true, forwardedOnly: true, actions: ['notrack'] },
    { ...plain, handle: 15, input: ['va'], other: true, actions: ['xt'] },
    { ...plain, handle: 16, input: null, other: true, actions: ['jump'] }
  ])
})

t.test('effect of a chain: first match counts, and what matches more than the interface is only "some packets"', async (t) => {
  const effect = (policy: string, ...rules: object[]): unknown => {
    const [chain] = parseRuleset(ruleset(base('forward', 'forward', policy), ...rules)).chains
    return chain === undefined ? null : effectOf(chain, ['va', 'vb'])
  }
  t.same(effect('accept'), { filtered: [], policyDrops: [] })
  t.same(effect('drop'), { filtered: ['va', 'vb'], policyDrops: ['va', 'vb'] })
  t.same(effect('drop', rule('forward', 1, iif('va'), { accept: null })), { filtered: ['vb'], policyDrops: ['vb'] })
  t.same(effect('accept', rule('forward', 1, iif('va'), { accept: null }), rule('forward', 2, { drop: null })), { filtered: ['vb'], policyDrops: [] })
  t.same(effect('accept', rule('forward', 1, { drop: null }), rule('forward', 2, iif('va'), { accept: null })), { filtered: ['va', 'vb'], policyDrops: [] })
  t.same(effect('drop', rule('forward', 1, iif('va'), notForUs, { accept: null })), { filtered: ['va', 'vb'], policyDrops: ['va', 'vb'] })
  t.same(effect('accept', rule('forward', 1, iif('v*'), { counter: null })), { filtered: [], policyDrops: [] })
})

t.test('connection tracking: who asks for it, and who is kept from it', async (t) => {
  t.notOk(tracks(parseRuleset(ruleset(base('forward', 'forward')))))
  t.ok(tracks(parseRuleset(ruleset(base('post', 'postrouting', 'accept', 'nat')))))
  t.ok(tracks(parseRuleset(ruleset(base('in', 'input'), rule('in', 1, { match: { op: 'in', left: { ct: { key: 'state' } }, right: 'established' } }, { accept: null })))))
  const kept = parseRuleset(ruleset(base('pre', 'prerouting'), rule('pre', 1, iif('va'), notForUs, { notrack: null }), rule('pre', 2, iif('vb'), { match: { op: '==', left: { meta: { key: 'l4proto' } }, right: 'udp' } }, { notrack: null })))
  t.same(untracked(kept, ['va', 'vb']), ['va'])
})

t.test('chains of an agent are not findings', async (t) => {
  const own = { chain: { family: 'netdev', table: 'lockstep_default', name: 'port_0', handle: 1, type: 'filter', hook: 'ingress', prio: -500, policy: 'drop' } }
  t.same(parseRuleset(ruleset(own)).chains, [])
})

t.test('ethtool without JSON', async (t) => {
  t.same(parseFeatures('Features for va:\nrx-checksumming: on\ntx-checksumming: off\n\ttx-checksum-ipv4: off [fixed]\nlarge-receive-offload: on\n'), {
    'rx-checksumming': true, 'tx-checksumming': false, 'tx-checksum-ipv4': false, 'large-receive-offload': true
  })
})

t.test('queues', async (t) => {
  const text = (rx: string, combined: string, rxNow: string, combinedNow: string): string =>
    `Channel parameters for x:\nPre-set maximums:\nRX:\t\t${rx}\nTX:\t\tn/a\nOther:\t\tn/a\nCombined:\t${combined}\nCurrent hardware settings:\nRX:\t\t${rxNow}\nTX:\t\tn/a\nOther:\t\tn/a\nCombined:\t${combinedNow}\n`
  t.same(parseChannels(text('n/a', '8', 'n/a', '2')), { current: 2, max: 8, kind: 'combined' })
  t.same(parseChannels(text('2', 'n/a', '1', 'n/a')), { current: 1, max: 2, kind: 'rx' })
  t.equal(parseChannels(text('n/a', 'n/a', 'n/a', 'n/a')), null)
})

t.test('the receive hash', async (t) => {
  const text = (key: string, more = ''): string => `RX flow hash indirection table for eth0 with 4 RX ring(s):\n    0:      0     1     2     3\nRSS hash key:\n${key}\nRSS hash function:\n    toeplitz: on\n${more}`
  t.same(parseRss(text('6d:5a:56:da')), { key: ['6d', '5a', '56', 'da'], symmetric: false })
  t.same(parseRss(text('6d:5a:56:da', '    symmetric-xor: on\n')), { key: ['6d', '5a', '56', 'da'], symmetric: true })
  t.equal(parseRss(text('Operation not supported')), null)
})

t.test('a tool that fails says why, and one that is missing how to get it', async (t) => {
  const failed = await runTool('ip', ['-j', 'link', 'show', 'dev', 'no-such-link'])
  t.ok(isUnseen(failed) && /ip says: .*no-such-link.* does not exist/.test(failed.unseen), JSON.stringify(failed))
  const elsewhere = await runTool('ip', ['-j', 'link'], { netns: '/run/netns/no-such-namespace' })
  t.ok(isUnseen(elsewhere) && elsewhere.source === 'nsenter --net=/run/netns/no-such-namespace -- ip -j link', JSON.stringify(elsewhere))
})

t.test('what DPDK needs: its program when it is asked for, and the devices of ports by their full address', async (t) => {
  const at = (devargs: string): Scope => ({ ...dpdk(), desired: desired(`agent: {backend: dpdk}\ninterfaces: {wan: {port: "dpdk:wan0", devargs: "${devargs}", zone: z}}\nzones: {z: {}}\n`) })
  t.match(gatherDpdk(at('FF:1f.7')), { dpdk: { value: String }, pci: { value: { '0000:ff:1f.7': null } } })
  t.match(gatherDpdk({ ...at('net_null0'), backend: 'userspace' }), { dpdk: { value: '' }, pci: { value: {} } })
})
