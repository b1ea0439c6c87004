import { all4, all6, mergeSpans, parseSpans, spansOverlap } from '../../lib/address.js';
import { poolIdName } from '../ids.js';
import { address } from './bank.js';
import { buildClassifier } from './classifier.js';
const anyTerm = { protocols: [], sourcePorts: [], destinationPorts: [], icmpType: null, icmpCode: null };
/** Throws ConfigError (`exhausted`) when a classifier does not fit. */
export function compileRules(d) {
    const zones = d.zones.map(zone => d.ids.zone[zone.name] ?? 0).filter(id => id > 0);
    const expand = expander(d);
    const spans = {};
    const policyRules = [];
    const policyClass = [];
    for (const policy of d.policies) {
        const first = policyRules.length;
        for (const { app, rule } of expand(policy)) {
            policyRules.push({ policy, app });
            policyClass.push(rule);
        }
        spans[policy.name] = { first, count: policyRules.length - first };
    }
    const sourceRules = [];
    const sourceClass = [];
    for (const rule of d.nat.source) {
        for (const part of shares(rule, d)) {
            for (const { rule: one } of expand({ ...rule, from: part.from })) {
                const limited = part.family === null ? one : ofFamily(one, part.family);
                if (limited === null)
                    continue;
                sourceRules.push({ name: rule.name, action: rule.translate.kind === 'off' ? 'none' : rule.translate.kind, pool: part.pool });
                sourceClass.push(limited);
            }
        }
    }
    const destinationRules = [];
    const destinationClass = [];
    for (const rule of d.nat.destination) {
        for (const { rule: one } of expand({ ...rule, to: [] })) {
            destinationRules.push({ name: rule.name, address: rule.translate === null ? null : address(rule.translate.address), port: rule.translate?.port ?? 0 });
            destinationClass.push(one);
        }
    }
    return {
        policies: { rules: policyRules, classifier: buildClassifier(policyClass, { path: '/policies', zoneOutKnown: true, zones }) },
        source: { rules: sourceRules, classifier: buildClassifier(sourceClass, { path: '/nat/source', zoneOutKnown: true, zones }) },
        destination: { rules: destinationRules, classifier: buildClassifier(destinationClass, { path: '/nat/destination', zoneOutKnown: false, zones }) },
        spans,
    };
}
/** One classifier rule per application term of a match. */
function expander(d) {
    const applications = new Map(d.applications.map(a => [a.name, a]));
    const parsed = new Map();
    const spans = (texts) => texts.flatMap(text => {
        let known = parsed.get(text);
        if (known === undefined)
            parsed.set(text, known = parseSpans(text) ?? []);
        return known;
    });
    const zones = (names) => names.length === 0 ? null : names.map(name => d.ids.zone[name] ?? 0);
    return match => {
        const terms = match.applications.length === 0
            ? [{ app: 0, term: anyTerm }]
            : match.applications.flatMap(name => (applications.get(name)?.terms ?? []).map(term => ({ app: d.ids.app[name] ?? 0, term })));
        const common = { from: zones(match.from), to: zones(match.to), source: spans(match.source), destination: spans(match.destination) };
        return terms.map(({ app, term }) => ({
            app,
            rule: {
                ...common,
                protocols: term.protocols,
                // ICMP: type and code stand in the places of the ports.
                sourcePorts: term.icmpType === null ? term.sourcePorts : [{ from: term.icmpType, to: term.icmpType }],
                destinationPorts: term.icmpCode === null ? term.destinationPorts : [{ from: term.icmpCode, to: term.icmpCode }],
            },
        }));
    };
}
/** A rule with a pool becomes one rule per redundancy group of its zones, each with that group's share of the pool (R15, R18). */
function shares(rule, d) {
    const { translate } = rule;
    if (translate.kind !== 'pool')
        return [{ from: rule.from, pool: null, family: null }];
    const pool = d.nat.pools.find(p => p.name === translate.pool);
    if (pool === undefined)
        return [];
    const [only] = pool.ranges;
    if (pool.ranges.length === 1 && only !== undefined)
        return [{ from: rule.from, pool: poolIdName(pool, only.redundancyGroup), family: pool.family }];
    const named = d.zones.filter(zone => rule.from.length === 0 || rule.from.includes(zone.name));
    return pool.ranges.flatMap(({ redundancyGroup }) => {
        const from = named.filter(zone => zone.redundancyGroup === redundancyGroup).map(zone => zone.name);
        return from.length === 0 ? [] : [{ from, pool: poolIdName(pool, redundancyGroup), family: pool.family }];
    });
}
/** The part of a rule that a pool of one family can translate; `null` = nothing. */
function ofFamily(rule, family) {
    const space = family === 4 ? [all4] : all6;
    const source = rule.source.length === 0 ? space : intersect(rule.source, space);
    return source.length === 0 ? null : { ...rule, source };
}
function intersect(spans, space) {
    return mergeSpans(spans.flatMap(a => space.filter(b => spansOverlap(a, b)).map(b => ({ from: a.from > b.from ? a.from : b.from, to: a.to < b.to ? a.to : b.to }))));
}
//# sourceMappingURL=rules.js.map