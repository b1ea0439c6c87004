/** The contract, held against the userspace backend; ebpf.test.ts and dpdk.test.ts hold it against the others. */
import t from 'tap'
import { conformance } from './suite.js'
import { makeUserspace } from './userspace-rig.js'

const others = { vpp: 'it forwards by itself, without the session table: test/agent/vpp.test.ts and test/lab/vpp.test.ts' } as const

const rig = await makeUserspace()
const found = await rig.dataplane.probe()
await rig.close()
t.test('userspace', { skip: found.available ? false : found.reason }, async t => { conformance(t, makeUserspace) })
for (const [name, skip] of Object.entries(others)) t.test(name, { skip }, () => {})
