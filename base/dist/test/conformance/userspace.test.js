/** The contract, held against the userspace backend. Backends that are not built in are skipped with their reason. */
import t from 'tap';
import { conformance } from './suite.js';
import { makeUserspace } from './userspace-rig.js';
const others = ['ebpf', 'dpdk', 'vpp'];
const rig = await makeUserspace();
const found = await rig.dataplane.probe();
await rig.close();
t.test('userspace', { skip: found.available ? false : found.reason }, async (t) => { conformance(t, makeUserspace); });
for (const name of others)
    t.test(name, { skip: 'not built into this version' }, () => { });
//# sourceMappingURL=userspace.test.js.map