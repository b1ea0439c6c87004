/**
 * The client through shared memory against a real VPP, whose load balancer is changed and left as it was: LOCKSTEP_VPP_LIBRARY is its libvppapiclient.so,
 * LOCKSTEP_VPP_API_PREFIX the prefix of its api-segment, LOCKSTEP_VPP_KILL=1 allows to kill it at the end.
 */
import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { openShared } from '../../../vpp/open-client.js'

const library = process.env['LOCKSTEP_VPP_LIBRARY'] ?? ''
const prefix = process.env['LOCKSTEP_VPP_API_PREFIX'] ?? ''
const skip = library === '' || prefix === '' ? 'needs a running VPP: LOCKSTEP_VPP_LIBRARY and LOCKSTEP_VPP_API_PREFIX' : false
const awake = setInterval(() => undefined, 1000)
t.teardown(() => { clearInterval(awake) })

const everything = { pfx: '0.0.0.0/0', le: 0, ge: 0, protocol: 0, port: 0 }
const residentKb = (): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])
const counts = (): { descriptors: number, threads: number } => ({ descriptors: readdirSync('/proc/self/fd').length, threads: readdirSync('/proc/self/task').length })

t.test('a hundred connections, one after the other', { skip }, async (t) => {
  const times: number[] = []
  let before = { ...counts(), kb: 0 }
  for (let i = 0; i < 100; i++) {
    if (i === 10) before = { ...counts(), kb: residentKb() }
    const began = performance.now()
    const client = await openShared(t, library, prefix)
    times.push(performance.now() - began)
    t.match((await client.call('show_version_51077d14', {})).version, /^\d\d\.\d\d/)
    client.close()
  }
  times.sort((a, b) => a - b)
  const after = counts()
  t.comment(`connected in ${times[50]?.toFixed(0)} ms (${times[99]?.toFixed(0)} ms at most), ${before.kb} KB resident after 10, ${residentKb()} KB after 100`)
  t.ok(after.descriptors <= before.descriptors + 1, `${before.descriptors} descriptors, then ${after.descriptors}`)
  t.ok(after.threads <= before.threads + 4, `${before.threads} threads, then ${after.threads}`)
})

t.test('pings, one by one and many at a time', { skip }, async (t) => {
  const client = await openShared(t, library, prefix)
  for (let i = 0; i < 500; i++) await client.call('control_ping_51077d14', {})
  const all = await Promise.all(Array.from({ length: 20_000 }, async () => await client.call('control_ping_51077d14', {})))
  t.equal(new Set(all.map(({ vpe_pid: pid }) => pid)).size, 1)
  t.match(client.tally, { sent: 20_500, received: 20_500, late: 0, strange: 0, timedOut: 0 })
  client.close()
})

t.test('a long answer, a dump, events and the load balancer', { skip }, async (t) => {
  const client = await openShared(t, library, prefix)
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
