/**
 * The schema applied: keys, types, ranges. Every mistake becomes an issue; then the wrong values are left out of a copy, so that the
 * builders can look for semantic mistakes in the rest and one check names both kinds.
 */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { nearest, oneOf, pointer, pointerKeys, show } from './issues.js';
import { namePattern } from './schema/common.js';
import { configSchema } from './schema/index.js';
const ajv = new Ajv2020({ allErrors: true, verbose: true, allowUnionTypes: true, strict: true, strictTypes: true, validateFormats: false, messages: false });
const validate = ajv.compile(configSchema);
export function checkShape(value, issues) {
    if (value === null)
        return { config: {}, index: (_, i) => i };
    const indices = new WeakMap();
    const index = (list, i) => indices.get(list)?.[i] ?? i;
    let sound = value;
    for (let round = 0; round < 24; round++) {
        if (validate(sound))
            return { config: sound, index };
        const errors = validate.errors ?? [];
        const bad = new Set();
        for (const [i, error] of errors.entries()) {
            if (round === 0 && issues.full) {
                // So many that the rest cannot be judged either.
                issues.drop(errors.length - i);
                return null;
            }
            const remove = round === 0 ? report(error, issues) : target(error);
            if (remove !== null)
                bad.add(remove);
        }
        if (bad.has(''))
            return round === 0 ? null : { config: {}, index };
        sound = without(sound, '', bad, indices);
    }
    return null;
}
/** What has to go: the value, or the unknown key beneath it. */
function target(error) {
    const facts = error.params;
    if (error.keyword === 'additionalProperties')
        return pointer(error.instancePath, facts.additionalProperty ?? '');
    if (error.keyword === 'propertyNames')
        return pointer(error.instancePath, facts.propertyName ?? '');
    return error.propertyName !== undefined ? null : error.instancePath;
}
function report(error, issues) {
    const facts = error.params;
    const schema = (error.parentSchema ?? {});
    const remove = target(error);
    const at = error.instancePath;
    const add = (path, code, message, found, expected) => { issues.add(path, code, message, found, expected); };
    const hint = schema.examples === undefined || schema.examples.length === 0 ? '' : ` like ${show(schema.examples[0])}`;
    switch (error.keyword) {
        case 'additionalProperties': {
            const key = facts.additionalProperty ?? '';
            const known = Object.keys(schema.properties ?? {});
            const near = nearest(key, known);
            add(pointer(at, key), 'LS_C_UNKNOWN_KEY', near === null ? 'unknown key' : `unknown key; did you mean ${near}?`, key, oneOf(known));
            break;
        }
        case 'propertyNames':
            add(remove ?? at, 'LS_C_VALUE', 'not usable as a name', facts.propertyName, nameRule(schema.propertyNames?.pattern));
            break;
        case 'required':
            add(at, 'LS_C_REQUIRED', `${facts.missingProperty ?? ''} is missing`, 'nothing', `${facts.missingProperty ?? ''}: ${describe(schema.properties, facts.missingProperty)}`);
            break;
        case 'type':
            add(at, 'LS_C_TYPE', 'wrong type', error.data, typeText(facts.type) + hint);
            break;
        case 'enum': {
            const values = (facts.allowedValues ?? []).map(String);
            const near = typeof error.data === 'string' ? nearest(error.data, values) : null;
            add(at, 'LS_C_VALUE', near === null || near === error.data ? 'not one of the choices' : `not one of the choices; did you mean ${near}?`, error.data, oneOf(values));
            break;
        }
        case 'minimum':
        case 'maximum':
            add(at, 'LS_C_VALUE', 'out of range', error.data, rangeText(error.parentSchema));
            break;
        case 'pattern':
            if (error.propertyName !== undefined)
                return null;
            add(at, 'LS_C_VALUE', 'not in the expected form', error.data, nameRule(error.parentSchema.pattern, schema.description) + hint);
            break;
        case 'minLength':
            add(at, 'LS_C_VALUE', 'empty', error.data, `text${hint}`);
            break;
        case 'maxLength':
            add(at, 'LS_C_VALUE', 'too long', error.data, `at most ${facts.limit ?? 0} characters`);
            break;
        case 'minItems':
        case 'minProperties':
            add(at, 'LS_C_VALUE', 'too few entries', error.data, `at least ${facts.limit ?? 1}`);
            break;
        case 'maxItems':
        case 'maxProperties':
            add(at, 'LS_C_LIMIT', 'too many entries', error.data, `at most ${facts.limit ?? 0}`);
            break;
        default: add(at, 'LS_C_VALUE', `violates ${error.keyword}`, error.data, schema.description ?? 'another value');
    }
    return remove;
}
const nameRule = (pattern, description) => {
    if (pattern === undefined)
        return description ?? 'another value';
    if (pattern === namePattern)
        return 'letters, digits, _ . - and at most 63 of them';
    if (pattern.startsWith('^(\\d|1'))
        return 'a redundancy group number from 0 to 15';
    const choices = /^\^\(([a-z|]+)\)\$$/.exec(pattern)?.[1];
    if (choices !== undefined)
        return oneOf(choices.split('|'));
    const word = /^\^([a-z]+)\$$/.exec(pattern)?.[1];
    return word === undefined ? description ?? pattern : `${word} or another type of value`;
};
const typeText = (type) => {
    const words = { object: 'a map of keys', array: 'a list', string: 'text', integer: 'a whole number', boolean: 'true or false', null: 'null' };
    const types = typeof type === 'string' ? type.split(',') : type ?? [];
    return types.map(t => words[t] ?? t).join(' or ');
};
function rangeText(schema) {
    const { minimum, maximum } = schema;
    return `${minimum ?? '-'} to ${maximum ?? '-'}`;
}
function describe(properties, key) {
    const found = properties?.[key ?? ''];
    return found?.description ?? 'a value';
}
/** A copy without the named values; lists close up and remember where their items were. */
function without(value, path, bad, indices) {
    if (value === null || typeof value !== 'object')
        return value;
    if (Array.isArray(value)) {
        const kept = [];
        const places = [];
        value.forEach((item, i) => {
            const place = indices.get(value)?.[i] ?? i;
            const child = pointer(path, i);
            if (bad.has(child))
                return;
            kept.push(without(item, child, bad, indices));
            places.push(place);
        });
        indices.set(kept, places);
        return kept;
    }
    const out = Object.create(null);
    for (const [key, item] of Object.entries(value)) {
        const child = pointer(path, key);
        if (!bad.has(child))
            out[key] = without(item, child, bad, indices);
    }
    return out;
}
/** Names that the file gives to things of one section, sound or not: a reference to a wrong entry is not an error of its own. */
export function namesIn(value, path) {
    let node = value;
    for (const key of pointerKeys(path)) {
        if (node === null || typeof node !== 'object')
            return new Set();
        node = node[key];
    }
    return new Set(node !== null && typeof node === 'object' && !Array.isArray(node) ? Object.keys(node) : []);
}
//# sourceMappingURL=shape.js.map