/** What every builder shares: where issues go, places in the file, lookups of names. A builder returns the sound part and never throws. */
import { many } from '../raw.js';
import { nearest, oneOf, pointer, pointerKeys } from '../issues.js';
import { namesIn } from '../shape.js';
export class Build {
    issues;
    shape;
    whole;
    origin;
    constructor(issues, shape, 
    /** The file as it is, wrong values included. */
    whole, 
    /** Place in the file of a path of the merged configuration (overlays of nodes). */
    origin = path => path) {
        this.issues = issues;
        this.shape = shape;
        this.whole = whole;
        this.origin = origin;
    }
    issue(path, code, message, found, expected) {
        this.issues.add(this.origin(path), code, message, found, expected);
    }
    warn(path, message) { this.issues.warn(this.origin(path), message); }
    /** Items of a value that may be one or many, each with its place. */
    each(path, value) {
        if (value === undefined)
            return [];
        if (!Array.isArray(value))
            return [[path, value]];
        return many(value).map((item, i) => [pointer(path, this.shape.index(value, i)), item]);
    }
    /** True when `name` is known. Otherwise an issue, unless the file has it and it was wrong itself. */
    refers(path, what, section, name, known) {
        if (known.has(name))
            return true;
        if (namesIn(this.whole, section).has(name))
            return false;
        const names = [...known.keys()];
        const near = nearest(name, names);
        this.issue(path, 'LS_C_REFERENCE', near === null ? `no such ${what}` : `no such ${what}; did you mean ${near}?`, name, oneOf(names));
        return false;
    }
    /** Issues for second and later uses of one name. */
    unique(what) {
        const seen = new Map();
        return (path, name) => {
            const first = seen.get(name);
            if (first === undefined)
                seen.set(name, path);
            else
                this.issue(path, 'LS_C_DUPLICATE', `two ${what} have one name`, name, `a name that ${this.origin(first)} does not have`);
            return first === undefined;
        };
    }
    /** One issue when there are more than `max`. */
    limit(path, what, count, max, constant) {
        if (count > max)
            this.issue(path, 'LS_C_LIMIT', `too many ${what}`, count, `at most ${max} (${constant})`);
    }
    /** The raw value at a place of the file, for messages. */
    raw(path) {
        return pointerKeys(this.origin(path)).reduce((node, key) => node !== null && typeof node === 'object' ? node[key] : undefined, this.whole);
    }
}
export const entries = (map) => map === undefined ? [] : Object.entries(map);
//# sourceMappingURL=context.js.map