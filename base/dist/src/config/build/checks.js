import { limits } from '../../generated/layout.js';
import { parsePrefix, parseSpans, prefixSpan, spansOverlap } from '../../lib/address.js';
import { pointer } from '../issues.js';
import { formatPorts, portsOverlap } from '../units.js';
export function checkWhole(b, d) {
    poolGroups(b, d);
    hostPorts(b, d);
    sharedAddresses(b, d);
    zonesInUse(b, d);
    const own = gatewayPorts(d.agent.gateway);
    const count = new Set([...d.agent.management.ports, ...own]).size;
    b.limit('/agent/management/ports', 'management ports, with those of the gateway', count, limits.LS_MGMT_PORTS_MAX, 'LS_MGMT_PORTS_MAX');
    const behindInterface = interfacesBehindNat(d).length;
    b.limit('/nat', 'NAT pools, with two per interface that hides sources', d.nat.pools.reduce((n, p) => n + p.ranges.length, 0) + 2 * behindInterface, limits.LS_POOLS_MAX - 1, 'LS_POOLS_MAX');
    b.limit('/nat', 'NAT addresses, with two per interface that hides sources', d.nat.pools.reduce((n, p) => n + p.addresses.length, 0) + 2 * behindInterface, limits.LS_POOL_ADDRS_MAX, 'LS_POOL_ADDRS_MAX');
}
/** Ports on which the gateway is reached from outside. */
export function gatewayPorts(gateway) {
    return [gateway.grpc, gateway.metrics].flatMap(listen => {
        const match = listen === null ? null : /^(.*):(\d+)$/.exec(listen);
        return match === null || /^(127\.|localhost|\[::1\])/.test(match[1] ?? '') ? [] : [Number(match[2])];
    }).filter(port => port > 0);
}
/** Egress interfaces of source NAT rules with translate: interface. */
export function interfacesBehindNat(d) {
    const rules = d.nat.source.filter(rule => rule.translate.kind === 'interface');
    return d.interfaces.filter(i => i.role === 'data' && rules.some(rule => rule.to.length === 0 || rule.to.includes(i.zone)));
}
const ruleAt = (list, all, rule) => pointer('/nat', list, all.indexOf(rule));
/** R15: the group of a flow is its pool's; the zone it came from must be of the same group. */
function poolGroups(b, d) {
    const named = (names) => d.zones.filter(zone => names.length === 0 || names.includes(zone.name));
    for (const rule of d.nat.source) {
        const path = ruleAt('source', d.nat.source, rule);
        const { translate } = rule;
        if (translate.kind === 'pool') {
            const groups = d.nat.pools.find(pool => pool.name === translate.pool)?.ranges.map(range => range.redundancyGroup) ?? [];
            const odd = named(rule.from).find(zone => !groups.includes(zone.redundancyGroup));
            if (odd !== undefined && groups.length > 0)
                b.issue(pointer(path, 'pool'), 'LS_C_CONFLICT', `zone ${odd.name} is of another redundancy group than the pool`, `zone ${odd.redundancyGroup}, pool ${groups.join(', ')}`, 'a pool with ports for the zone’s group (R15)');
        }
        else if (translate.kind === 'interface') {
            for (const zone of named(rule.from)) {
                const odd = named(rule.to).find(to => to.redundancyGroup !== zone.redundancyGroup);
                if (odd !== undefined) {
                    b.issue(path, 'LS_C_CONFLICT', 'zones of two redundancy groups share an interface address', `${zone.name} ${zone.redundancyGroup}, ${odd.name} ${odd.redundancyGroup}`, 'zones of one group, or a pool with port-ranges (R15)');
                    break;
                }
            }
        }
    }
}
/** R17: on an address of the host, translated ports and the host's own must not meet. */
function hostPorts(b, d) {
    const { hostPorts: own } = d.agent;
    const clash = (path, ports, other, what) => {
        if (portsOverlap(ports, other))
            b.issue(path, 'LS_C_OVERLAP', `the ports overlap ${what}`, formatPorts(ports), `ports outside ${formatPorts(other)} (R17)`);
    };
    const hiding = interfacesBehindNat(d).length > 0;
    if (hiding)
        clash('/nat/interface-ports', d.nat.interfacePorts, own, 'the host’s own');
    const mine = new Set(d.interfaces.flatMap(i => [...i.addresses, ...i.floating]).map(text => text.slice(0, text.indexOf('/'))));
    for (const pool of d.nat.pools) {
        if (!pool.addresses.some(address => mine.has(address)))
            continue;
        const path = pointer('/nat/pools', pool.name);
        for (const { ports } of pool.ranges) {
            clash(path, ports, own, 'the host’s own, and the pool has an address of the host');
            if (hiding)
                clash(path, ports, d.nat.interfacePorts, 'nat.interface-ports, and the pool has an address of the host');
        }
    }
}
function sharedAddresses(b, d) {
    sharedPools(b, d.nat);
    const own = [
        ...d.interfaces.flatMap(i => [...i.addresses, ...i.floating].flatMap(text => hold(text.slice(0, text.indexOf('/')), pointer('/interfaces', i.name), `interface ${i.name}`, i.domain))),
        ...d.vips.flatMap(vip => hold(vip.address, pointer('/vips', vip.name), `VIP ${vip.name}`, vip.domain)),
        ...d.nat.pools.flatMap(pool => pool.addresses.flatMap(a => hold(a, pointer('/nat/pools', pool.name), `NAT pool ${pool.name}`, pool.domain))),
    ];
    const statics = d.nat.static.map(mapping => ({ mapping, path: ruleAt('static', d.nat.static, mapping), outside: spanOf(mapping.outside), inside: spanOf(mapping.inside) }));
    for (const [n, { mapping, path, outside, inside }] of statics.entries()) {
        const held = own.find(h => h.domain === mapping.domain && outside !== null && spansOverlap(h.span, outside));
        if (held !== undefined)
            b.issue(pointer(path, 'outside'), 'LS_C_OVERLAP', `the address belongs to ${held.what}`, mapping.outside, 'an address that nothing else uses');
        for (const other of statics.slice(0, n)) {
            if (other.mapping.domain !== mapping.domain)
                continue;
            for (const side of ['outside', 'inside']) {
                const [x, y] = side === 'outside' ? [outside, other.outside] : [inside, other.inside];
                if (x !== null && y !== null && spansOverlap(x, y))
                    b.issue(pointer(path, side), 'LS_C_OVERLAP', 'two static mappings overlap', mapping[side], `addresses outside ${other.mapping[side]} of ${other.mapping.name}`);
            }
        }
    }
}
function hold(text, path, what, domain) {
    const span = spanOf(text);
    return span === null ? [] : [{ span, path, what, domain }];
}
const spanOf = (text) => {
    const prefix = parsePrefix(text);
    return prefix === null ? parseSpans(text)?.[0] ?? null : prefixSpan(prefix);
};
function sharedPools(b, nat) {
    const byAddress = new Map();
    for (const pool of nat.pools) {
        for (const address of pool.addresses) {
            const key = `${pool.domain} ${address}`;
            const other = byAddress.get(key);
            const clash = other === undefined ? undefined : pool.ranges.find(range => portsOverlap(range.ports, other.ports));
            if (other !== undefined && clash !== undefined) {
                b.issue(pointer('/nat/pools', pool.name), 'LS_C_OVERLAP', `the pool shares ${address} and ports with pool ${other.pool}`, formatPorts(clash.ports), `ports outside ${formatPorts(other.ports)}, or other addresses`);
                break;
            }
            for (const range of pool.ranges)
                byAddress.set(key, { pool: pool.name, ports: range.ports });
        }
    }
}
function zonesInUse(b, d) {
    for (const zone of d.zones) {
        if (!d.interfaces.some(i => i.zone === zone.name))
            b.warn(pointer('/zones', zone.name), 'no interface is in the zone');
    }
    for (const vip of d.vips) {
        if (vip.mode !== 'l2')
            continue;
        const far = vip.pools.flatMap(pool => pool.reals).find(real => !d.interfaces.some(i => i.addresses.some(a => {
            const [span, host] = [spanOf(a), spanOf(real.address)];
            return span !== null && host !== null && spansOverlap(span, host);
        })));
        if (far !== undefined && d.interfaces.some(i => i.addresses.length > 0))
            b.warn(pointer('/vips', vip.name), `mode l2 reaches only neighbours, and ${far.address} is in no subnet of an interface`);
    }
}
//# sourceMappingURL=checks.js.map