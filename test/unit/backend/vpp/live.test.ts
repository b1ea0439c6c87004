/**
 * The client against a VPP that runs, whose load balancer is changed and left as it was: LOCKSTEP_VPP_API_SOCKET is its API socket; for shared memory
 * LOCKSTEP_VPP_LIBRARY is its libvppapiclient.so and LOCKSTEP_VPP_API_PREFIX the prefix of its api-segment, and LOCKSTEP_VPP_KILL=1 allows to kill it at the end.
 */
import { readdirSync, readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { nameOf, type VppClient } from '../../../../src/backend/vpp/client.js'
import { covers, describe } from '../../../../src/backend/vpp/described.js'
import { layouts, structures } from '../../../../src/backend/vpp/messages.js'
import { openClient, openShared } from '../../../vpp/open-client.js'

const library = process.env['LOCKSTEP_VPP_LIBRARY'] ?? ''
const prefix = process.env['LOCKSTEP_VPP_API_PREFIX'] ?? ''
const socket = process.env['LOCKSTEP_VPP_API_SOCKET'] ?? ''
const skip = library === '' || prefix === '' ? 'needs a running VPP: LOCKSTEP_VPP_LIBRARY and LOCKSTEP_VPP_API_PREFIX' : false
/** `connections`: one after the other. */
interface Way { readonly name: string, readonly skip: string | false, readonly open: (t: Test | null) => Promise<VppClient>, readonly connections: number }
const ways: readonly Way[] = [
  { name: 'socket', skip: socket === '' && 'needs a running VPP: LOCKSTEP_VPP_API_SOCKET', open: async (t) => await openClient(t, socket), connections: 1000 },
  { name: 'shared memory', skip, open: async (t) => await openShared(t, library, prefix), connections: 100 }
]
const awake = setInterval(() => undefined, 1000)
t.teardown(() => { clearInterval(awake) })

const everything = { pfx: '0.0.0.0/0', pfx_matcher: { le: 0, ge: 0 }, protocol: 0, port: 0 }
const residentKb = (): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])
const counts = (): { descriptors: number, threads: number } => ({ descriptors: readdirSync('/proc/self/fd').length, threads: readdirSync('/proc/self/task').length })

for (const { name, skip, open, connections } of ways) {
  t.test(`${name}: connections, one after the other`, { skip }, async (t) => {
    const times: number[] = []
    let before = { ...counts(), kb: 0 }
    for (let i = 0; i < connections; i++) {
      if (i === 10) before = { ...counts(), kb: residentKb() }
      const began = performance.now()
      const client = await open(null)
      times.push(performance.now() - began)
      const { version } = await client.call('show_version_51077d14', {})
      if (!/^\d\d\.\d\d/.test(version)) t.fail(version)
      client.close()
    }
    times.sort((a, b) => a - b)
    const after = counts()
    t.comment(`connected in ${times[connections / 2]?.toFixed(0)} ms (${times[connections - 1]?.toFixed(0)} ms at most), ${before.kb} KB resident after 10, ${residentKb()} KB after ${connections}`)
    t.ok(after.descriptors <= before.descriptors + 1, `${before.descriptors} descriptors, then ${after.descriptors}`)
    t.ok(residentKb() < before.kb + 60_000, 'no memory is kept')
    t.ok(after.threads <= before.threads + 4, `${before.threads} threads, then ${after.threads}`)
  })

  t.test(`${name}: pings, one by one and many at a time`, { skip }, async (t) => {
    const client = await open(t)
    for (let i = 0; i < 500; i++) await client.call('control_ping_51077d14', {})
    const all = await Promise.all(Array.from({ length: 20_000 }, async () => await client.call('control_ping_51077d14', {})))
    t.equal(new Set(all.map(({ vpe_pid: pid }) => pid)).size, 1)
    t.match(client.tally, { sent: 20_500, late: 0, strange: 0, timedOut: 0 })
    client.close()
  })

  t.test(`${name}: a long answer, a dump and the load balancer`, { skip }, async (t) => {
    const client = await open(t)
    t.ok((await client.dump('sw_interface_dump_aa610c27', { sw_if_index: 0xffffffff, name_filter_valid: false, name_filter: '' })).length > 0)
    t.match((await client.call('cli_inband_f8377302', { cmd: 'show api message-table' })).reply, /control_ping/)
    if (!client.has('lb_add_del_vip_v2_7c520e0f')) {
      t.comment('no load balancer that this client knows')
      client.close()
      return
    }
    const vip = { pfx: '198.51.100.77/32', protocol: 6, port: 8077 }
    const set = async (isDel: boolean): Promise<unknown> => await client.call('lb_add_del_vip_v2_7c520e0f', { ...vip, encap: 0, dscp: 255, type: 0, target_port: 0, node_port: 0, new_flows_table_length: 1024, src_ip_sticky: false, is_del: isDel })
    await set(false)
    const count = async (): Promise<number> => (await client.dump('lb_vip_dump_56110cb7', everything)).length
    t.equal(await count(), 1)
    await set(true)
    t.equal(await count(), 0)
    client.close()
  })
}

t.test('socket: what VPP says of its messages is what we say', { skip: socket === '' && 'needs a running VPP: LOCKSTEP_VPP_API_SOCKET' }, async (t) => {
  const client = await openClient(t, socket, { timeoutMs: 10_000 })
  const { messages, structures: theirs } = describe((await client.call('get_api_json_51077d14', {})).json)
  const all = { ...structures, ...theirs }
  let compared = 0
  for (const [key, fields] of layouts) {
    const found = messages.get(nameOf(key))
    if (found === undefined || !key.endsWith(found.crc)) continue
    compared++
    if (!covers(found.fields, fields, all) || !covers(fields, found.fields, all)) t.fail(`${key}: '${found.fields}' is not '${fields}'`)
  }
  t.ok(compared > 25, `${compared} messages, of ${messages.size} that are understood`)
})

t.test('VPP is killed while requests are out', { skip: skip || (process.env['LOCKSTEP_VPP_KILL'] !== '1' && 'needs LOCKSTEP_VPP_KILL=1: it ends the VPP') }, async (t) => {
  const client = await openShared(t, library, prefix)
  const { vpe_pid: pid } = await client.call('control_ping_51077d14', {})
  process.kill(pid, 'SIGSTOP')
  const out = Array.from({ length: 3000 }, async () => await client.call('control_ping_51077d14', {}, 60_000).then(() => 'answered', (error: unknown) => (error as { code: string }).code))
  await new Promise((resolve) => { setTimeout(resolve, 100) })
  process.kill(pid, 'SIGKILL')
  const began = performance.now()
  t.match(await client.ended, /VPP, process \d+, has ended/)
  t.comment(`noticed after ${(performance.now() - began).toFixed(0)} ms`)
  t.ok(performance.now() - began < 1000)
  t.same([...new Set(await Promise.all(out))], ['LS_V_GONE'])
  const tried = performance.now()
  await t.rejects(openShared(t, library, prefix), { code: 'LS_E_SYSTEM', errorClass: 'unavailable', message: /is of a VPP that has ended/ })
  t.ok(performance.now() - tried < 100, 'the event loop does not wait for the library, which spins for 2 s')
})
