import { pointer } from '../issues.js';
import { formatPorts, mergePorts, parsePorts, parseProtocol, protocolName } from '../units.js';
import { wellKnownApplications } from '../well-known.js';
import { buildTimeouts } from './agent.js';
import { entries } from './context.js';
/** TCP, UDP, SCTP, and the two ICMPs. */
const withPorts = new Set([6, 17, 132]);
const icmps = new Set([1, 58]);
export class ApplicationBook {
    b;
    declared = new Map();
    used = new Map();
    constructor(b, raw) {
        this.b = b;
        for (const [name, application] of entries(raw)) {
            const built = this.application(pointer('/applications', name), name, application);
            if (built !== null)
                this.declared.set(name, built);
        }
    }
    /** Canonical names of the applications of one rule; empty = any. */
    resolve(path, value) {
        const out = new Set();
        let any = false;
        for (const [place, name] of this.b.each(path, value)) {
            if (name === 'any' && !this.declared.has('any'))
                any = true;
            else {
                const application = this.one(place, name);
                if (application !== null)
                    out.add(application.name);
            }
        }
        if (any && out.size > 0)
            this.b.issue(path, 'LS_C_CONFLICT', 'any makes the other applications meaningless', value, 'any alone, or names');
        return any ? [] : [...out];
    }
    one(path, name) {
        const known = this.used.get(name) ?? this.declared.get(name);
        if (known !== undefined)
            return this.use(known);
        if (Object.hasOwn(wellKnownApplications, name)) {
            const terms = (wellKnownApplications[name] ?? []).flatMap(term => this.term(path, term) ?? []);
            return this.use({ name, terms, timeouts: {}, inline: false });
        }
        if (name.includes('/')) {
            const term = inlineTerm(name);
            if (term !== null)
                return this.use({ name: inlineName(term), terms: [term], timeouts: {}, inline: true });
            this.b.issue(path, 'LS_C_VALUE', 'not an application', name, 'a name, tcp/8080, udp/5000-5010, tcp/80,443, icmp/8 or proto/89');
            return null;
        }
        const names = new Map([...Object.entries(wellKnownApplications), ...this.declared]);
        this.b.refers(path, 'application', '/applications', name, names);
        return null;
    }
    /** Declared and used ones, by name. */
    all() {
        return [...new Map([...this.declared, ...this.used]).values()].sort((x, y) => x.name < y.name ? -1 : 1);
    }
    get(name) { return this.used.get(name) ?? this.declared.get(name); }
    use(application) {
        this.used.set(application.name, application);
        return application;
    }
    application(path, name, raw) {
        if (name === 'any') {
            this.b.issue(path, 'LS_C_CONFLICT', 'the name has a meaning of its own', name, 'another name');
            return null;
        }
        const own = raw.protocol !== undefined || raw['destination-port'] !== undefined || raw['source-port'] !== undefined || raw['icmp-type'] !== undefined || raw['icmp-code'] !== undefined;
        if (own === (raw.terms !== undefined)) {
            this.b.issue(path, own ? 'LS_C_CONFLICT' : 'LS_C_REQUIRED', own ? 'both a term of its own and terms' : 'protocol is missing', this.b.raw(path), 'protocol, or terms');
            return null;
        }
        const list = raw.terms === undefined ? [[path, raw]] : this.b.each(pointer(path, 'terms'), raw.terms);
        const terms = list.flatMap(([place, term]) => this.term(place, term) ?? []);
        return { name, terms, timeouts: buildTimeouts(this.b, pointer(path, 'timeouts'), raw.timeouts), inline: false };
    }
    term(path, raw) {
        const b = this.b;
        const protocols = [];
        for (const [place, value] of b.each(pointer(path, 'protocol'), raw.protocol)) {
            const number = parseProtocol(value);
            if (number === null)
                b.issue(place, 'LS_C_VALUE', 'no such protocol', value, 'tcp, udp, icmp, icmp6, sctp, gre, esp, ... or a number from 1 to 255');
            else if (!protocols.includes(number))
                protocols.push(number);
        }
        if (protocols.length === 0) {
            if (raw.protocol === undefined)
                b.issue(path, 'LS_C_REQUIRED', 'protocol is missing', b.raw(path), 'protocol: tcp, udp, icmp, ... or a number');
            return null;
        }
        const term = {
            protocols: protocols.sort((x, y) => x - y),
            sourcePorts: this.ports(pointer(path, 'source-port'), raw['source-port']),
            destinationPorts: this.ports(pointer(path, 'destination-port'), raw['destination-port']),
            icmpType: raw['icmp-type'] ?? null,
            icmpCode: raw['icmp-code'] ?? null,
        };
        const ported = term.sourcePorts.length + term.destinationPorts.length > 0;
        const odd = protocols.find(p => (ported && !withPorts.has(p)) || (term.icmpType !== null && !icmps.has(p)));
        if (odd !== undefined)
            b.issue(path, 'LS_C_CONFLICT', ported && !withPorts.has(odd) ? 'the protocol has no ports' : 'the protocol is not ICMP', protocolName(odd), ported ? 'tcp, udp or sctp with ports' : 'icmp or icmp6 with icmp-type');
        if (term.icmpCode !== null && term.icmpType === null)
            b.issue(path, 'LS_C_REQUIRED', 'icmp-type is missing', b.raw(path), 'icmp-type beside icmp-code');
        return term;
    }
    ports(path, value) {
        const out = [];
        for (const [place, item] of this.b.each(path, value)) {
            if (item === 'any')
                return [];
            const range = parsePorts(item);
            if (range === null)
                this.b.issue(place, 'LS_C_VALUE', 'not a port or range', item, 'a port like 80 or a range like 8000-8080, at most 65535');
            else
                out.push(range);
        }
        return mergePorts(out);
    }
}
/** `tcp/80,443`, `icmp/3/4`, `proto/89`. */
export function inlineTerm(text) {
    const [protocolText = '', rest = '', more, ...extra] = text.split('/');
    if (extra.length > 0 || text.length > 256)
        return null;
    const none = { sourcePorts: [], destinationPorts: [], icmpType: null, icmpCode: null };
    if (protocolText === 'proto') {
        const number = parseProtocol(rest);
        return number === null || more !== undefined ? null : { ...none, protocols: [number] };
    }
    const protocol = parseProtocol(protocolText);
    if (protocol === null || !/^[a-z]/.test(protocolText))
        return null;
    if (icmps.has(protocol)) {
        const numbers = [rest, more ?? '0'].map(part => /^\d{1,3}$/.test(part) && Number(part) < 256 ? Number(part) : null);
        const [type = null, code = null] = numbers;
        return type === null || code === null ? null : { ...none, protocols: [protocol], icmpType: type, icmpCode: more === undefined ? null : code };
    }
    if (!withPorts.has(protocol) || more !== undefined)
        return null;
    const ranges = rest.split(',').map(part => parsePorts(part));
    return ranges.some(range => range === null) ? null : { ...none, protocols: [protocol], destinationPorts: mergePorts(ranges.filter(range => range !== null)) };
}
function inlineName(term) {
    const [protocol = 0] = term.protocols;
    if (term.icmpType !== null)
        return `${protocolName(protocol)}/${term.icmpType}${term.icmpCode === null ? '' : `/${term.icmpCode}`}`;
    return term.destinationPorts.length === 0 ? `proto/${protocol}` : `${protocolName(protocol)}/${term.destinationPorts.map(formatPorts).join(',')}`;
}
//# sourceMappingURL=applications.js.map