import { LockstepError } from '../../contract/errors.js';
import { limits } from '../../generated/layout.js';
import { native } from '../../native/errors.js';
const roles = {
    init: limits.LS_ROLE_INIT, standby: limits.LS_ROLE_STANDBY, owner: limits.LS_ROLE_OWNER, hold: limits.LS_ROLE_HOLD, yield: limits.LS_ROLE_YIELD, take: limits.LS_ROLE_TAKE
};
const FOR_EVER = 2n ** 64n - 1n;
/** As a new table has it: no peer, so ours without end (R23). */
const fresh = { role: roles.owner, epoch: 0n, deadlineNs: FOR_EVER };
export function haController(table) {
    const groups = new Map();
    const set = (rg, change) => {
        const group = { ...groups.get(rg) ?? fresh, ...change };
        native(() => { table.setRole(rg, group.role, group.epoch, group.deadlineNs); }, { object: `redundancy group ${rg}` });
        groups.set(rg, group);
    };
    return {
        setRole: (rg, role, epoch) => { set(rg, { role: roles[role], epoch }); },
        setFabricForwarding: () => { throw new LockstepError('unsupported', 'LS_B_FABRIC', 'the userspace backend has no fabric forwarding', { object: 'fabric', next: 'lockstep backend list shows which backend can' }); },
        stampLease: (rg, deadlineNs) => { set(rg, { deadlineNs }); }
    };
}
//# sourceMappingURL=ha.js.map