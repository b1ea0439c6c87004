/** The contract, held against the userspace backend; ebpf.test.ts holds it against the other one that this version has. */
import t from 'tap'
import { conformance } from './suite.js'
import { makeUserspace } from './userspace-rig.js'

const others = ['dpdk', 'vpp'] as const

const rig = await makeUserspace()
const found = await rig.dataplane.probe()
await rig.close()
t.test('userspace', { skip: found.available ? false : found.reason }, async t => { conformance(t, makeUserspace) })
for (const name of others) t.test(name, { skip: 'not built into this version' }, () => {})
