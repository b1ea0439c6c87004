import { screen } from '../../generated/codes.js';
import { limits } from '../../generated/layout.js';
import { pointer } from '../issues.js';
import { kebab } from '../schema/agent.js';
import { screenHasRate } from '../schema/network.js';
import { parsePorts, parseProtocol } from '../units.js';
import { hostServices, wellKnownApplications } from '../well-known.js';
import { inlineTerm } from './applications.js';
import { entries } from './context.js';
/** Group 0 exists without being declared. */
export function buildGroups(raw) {
    const groups = new Map([[0, { id: 0, description: '' }]]);
    for (const [id, group] of entries(raw))
        groups.set(Number(id), { id: Number(id), description: group.description ?? '' });
    return [...groups.values()].sort((x, y) => x.id - y.id);
}
/** The declared group, or 0 with an issue. */
export function groupOf(b, path, value, groups) {
    if (value === undefined)
        return 0;
    b.refers(path, 'redundancy group', '/redundancy-groups', String(value), new Map(groups.map(group => [String(group.id), group])));
    return value;
}
export function buildScreens(b, raw) {
    return entries(raw).map(([name, profile]) => {
        const limitsOf = {};
        for (const { name: code } of screen) {
            const value = profile[kebab(code)];
            if (screenHasRate(code) ? typeof value === 'number' && value > 0 : value === true)
                limitsOf[code] = typeof value === 'number' ? value : 1;
        }
        if (Object.keys(limitsOf).length === 0)
            b.warn(pointer('/screens', name), 'the profile screens nothing');
        return { name, limits: limitsOf };
    }).sort((x, y) => x.name < y.name ? -1 : 1);
}
export function buildZones(b, raw, groups, screens) {
    b.limit('/zones', 'zones', entries(raw.zones).length, limits.LS_ZONES_MAX - 1, 'LS_ZONES_MAX');
    const profiles = new Map(screens.map(s => [s.name, s]));
    return entries(raw.zones).map(([name, zone]) => {
        const path = pointer('/zones', name);
        if (name === 'any')
            b.issue(path, 'LS_C_CONFLICT', 'the name has a meaning of its own', name, 'another name');
        const screened = zone.screen !== undefined && b.refers(pointer(path, 'screen'), 'screen profile', '/screens', zone.screen, profiles);
        const inbound = hostInbound(b, pointer(path, 'host-inbound'), zone);
        return {
            name,
            redundancyGroup: groupOf(b, pointer(path, 'redundancy-group'), zone['redundancy-group'], groups),
            hostInbound: inbound,
            screen: screened ? zone.screen ?? null : null,
            fragments: zone.fragments ?? 'follow',
            tcpLoose: zone['tcp-loose'] ?? false,
            multicast: zone.multicast ?? false,
            dhcp: (zone.dhcp ?? false) || inbound.dhcp,
            icmpErrors: zone['icmp-errors'] ?? true,
        };
    }).sort((x, y) => x.name < y.name ? -1 : 1);
}
function hostInbound(b, path, zone) {
    const services = [];
    let any = false;
    let ping = false;
    let dhcp = false;
    for (const [place, item] of b.each(path, zone['host-inbound'])) {
        if (item === 'any')
            any = true;
        else if (item === 'ping')
            ping = true;
        else if (item === 'dhcp')
            dhcp = true;
        else
            services.push(...typeof item === 'string' ? namedService(b, place, item) : writtenService(b, place, item));
    }
    const unique = [...new Map(services.map(s => [`${s.protocol}/${s.ports.from}-${s.ports.to}`, s])).values()];
    b.limit(path, 'host-inbound services of one zone', unique.length, limits.LS_SERVICES_MAX, 'LS_SERVICES_MAX');
    return { any, ping, services: unique, dhcp };
}
const allPorts = { from: 0, to: 65535 };
function namedService(b, path, name) {
    if (hostServices.includes(name)) {
        return (wellKnownApplications[name] ?? []).flatMap(term => {
            const protocols = (Array.isArray(term.protocol) ? term.protocol : [term.protocol]).map(p => parseProtocol(p) ?? 0);
            if (term['icmp-type'] !== undefined)
                return [];
            const ports = (Array.isArray(term['destination-port']) ? term['destination-port'] : []).map(p => parsePorts(p) ?? allPorts);
            return protocols.flatMap(protocol => (ports.length === 0 ? [allPorts] : ports).map(range => ({ protocol, ports: range })));
        });
    }
    const term = name.includes('/') ? inlineTerm(name) : null;
    if (term !== null && term.icmpType === null) {
        return term.protocols.flatMap(protocol => (term.destinationPorts.length === 0 ? [allPorts] : term.destinationPorts).map(ports => ({ protocol, ports })));
    }
    b.refers(path, 'service', '', name, new Map(['any', 'ping', 'dhcp', ...hostServices].map(s => [s, s])));
    return [];
}
function writtenService(b, path, raw) {
    const protocol = parseProtocol(raw.protocol);
    if (protocol === null)
        b.issue(pointer(path, 'protocol'), 'LS_C_VALUE', 'no such protocol', raw.protocol, 'tcp, udp, ospf, vrrp, ... or a number from 1 to 255');
    const ports = raw.ports === undefined ? allPorts : parsePorts(raw.ports);
    if (ports === null)
        b.issue(pointer(path, 'ports'), 'LS_C_VALUE', 'not a port or range', raw.ports, 'a port like 8080 or a range like 8000-8010');
    else if (raw.ports !== undefined && protocol !== null && ![6, 17, 132].includes(protocol))
        b.issue(pointer(path, 'ports'), 'LS_C_CONFLICT', 'the protocol has no ports', raw.ports, 'ports with tcp, udp or sctp only');
    return protocol === null || ports === null ? [] : [{ protocol, ports }];
}
//# sourceMappingURL=zones.js.map