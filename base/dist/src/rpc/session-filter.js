/**
 * The filter of the API -> SessionFilter. Every value is checked here, so that a mistyped filter is refused and never means
 * "every session". Names are resolved by the agent (`resolveFilter`); `#7` is the id 7.
 */
import { isIP } from 'node:net';
import { LockstepError } from '../contract/errors.js';
import { phase } from '../generated/codes.js';
/** IANA numbers by the names people use. */
export const protocolNumbers = {
    icmp: 1, igmp: 2, ipip: 4, tcp: 6, udp: 17, gre: 47, esp: 50, ah: 51, icmp6: 58, icmpv6: 58, ospf: 89, vrrp: 112, sctp: 132
};
const namedFields = [
    ['domain', 0xffff], ['zoneIn', 0xffff], ['zoneOut', 0xffff], ['policy', 0xffff], ['vip', 0xffff], ['real', 0xffff], ['app', 0xff]
];
/** `resolve` is AgentServices.resolveFilter; it sees only names, keyed as in SessionFilter. */
export function filterOf(message, resolve) {
    if (message === undefined)
        return {};
    const out = {};
    if (message.source !== '')
        out.source = prefix('source', message.source);
    if (message.destination !== '')
        out.destination = prefix('destination', message.destination);
    if (message.address !== '')
        out.address = prefix('address', message.address);
    if (message.sourcePort !== undefined)
        out.sourcePort = bounded('source_port', message.sourcePort, 0xffff);
    if (message.destinationPort !== undefined)
        out.destinationPort = bounded('destination_port', message.destinationPort, 0xffff);
    if (message.port !== undefined)
        out.port = bounded('port', message.port, 0xffff);
    if (message.protocol !== '')
        out.protocol = protocol(message.protocol);
    if (message.family !== 0)
        out.family = family(message.family);
    if (message.rg !== undefined)
        out.rg = bounded('rg', message.rg, 255);
    if (message.phases.length > 0)
        out.phases = [...new Set(message.phases)].map(phaseName);
    if (message.snat !== undefined)
        out.snat = message.snat;
    if (message.dnat !== undefined)
        out.dnat = message.dnat;
    if (message.fromPeer !== undefined)
        out.fromPeer = message.fromPeer;
    if (message.minIdleMs !== undefined)
        out.minIdleMs = milliseconds('min_idle_ms', message.minIdleMs);
    if (message.minAgeMs !== undefined)
        out.minAgeMs = milliseconds('min_age_ms', message.minAgeMs);
    if (message.maxAgeMs !== undefined)
        out.maxAgeMs = milliseconds('max_age_ms', message.maxAgeMs);
    if (message.id !== '')
        out.id = sessionId(message.id);
    const named = {};
    for (const [field, max] of namedFields) {
        const value = message[field];
        if (value === '')
            continue;
        if (value.startsWith('#'))
            out[field] = hashId(field, value, max);
        else
            named[field] = value;
    }
    return Object.keys(named).length === 0 ? out : { ...resolve(named), ...out };
}
export const isEmptyFilter = (filter) => Object.keys(filter).length === 0;
/** 32 hexadecimal digits, in lower case. */
export function sessionId(value) {
    if (!/^[0-9a-fA-F]{32}$/.test(value))
        throw refused('id', value, '32 hexadecimal digits');
    return value.toLowerCase();
}
function refused(field, found, expected) {
    return new LockstepError('invalid', 'LS_R_FILTER', 'the filter cannot be used', { object: `filter.${field}`, found, expected });
}
function prefix(field, value) {
    const [address = '', length, more] = value.split('/');
    const kind = isIP(address);
    const bits = kind === 4 ? 32 : 128;
    const lengthOk = length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= bits);
    if (kind === 0 || !lengthOk || more !== undefined || address.includes('%')) {
        throw refused(field, value, 'an address or a prefix such as 192.0.2.0/24 or 2001:db8::/32');
    }
    return value;
}
function bounded(field, value, max) {
    if (value > max)
        throw refused(field, String(value), `0 to ${max}`);
    return value;
}
function protocol(value) {
    const number = protocolNumbers[value.toLowerCase()] ?? (/^\d{1,3}$/.test(value) ? Number(value) : 256);
    if (number > 255)
        throw refused('protocol', value, `0 to 255 or one of ${Object.keys(protocolNumbers).join(' ')}`);
    return number;
}
function family(value) {
    if (value !== 4 && value !== 6)
        throw refused('family', String(value), '4 or 6');
    return value;
}
function phaseName(value) {
    const lower = value.toLowerCase();
    if (!phase.some((p) => p.name === lower))
        throw refused('phases', value, `one of ${phase.map((p) => p.name.toUpperCase()).join(' ')}`);
    return lower.toUpperCase();
}
function milliseconds(field, value) {
    if (value > 0xffffffffffffn)
        throw refused(field, String(value), 'less than 2^48');
    return Number(value);
}
function hashId(field, value, max) {
    const id = /^#\d{1,5}$/.test(value) ? Number(value.slice(1)) : max + 1;
    if (id > max)
        throw refused(field, value, `a name, or # and a number up to ${max}`);
    return id;
}
//# sourceMappingURL=session-filter.js.map