import { fixedNames } from './ids.js';
/** `ids` is asked at every call; the reverse maps are built once per table. */
export function nameBook(ids) {
    let built = null;
    let reverse = new Map();
    const names = (kind) => {
        const table = ids();
        if (table !== built) {
            built = table;
            reverse = new Map();
        }
        let map = reverse.get(kind);
        if (map === undefined) {
            map = new Map([[0, fixedNames[kind]], ...Object.entries(table[kind]).map(([name, id]) => [id, name])]);
            reverse.set(kind, map);
        }
        return map;
    };
    return {
        name: (kind, id) => names(kind).get(id) ?? `#${id}`,
        id: (kind, name) => {
            const table = ids()[kind];
            if (Object.hasOwn(table, name))
                return table[name] ?? null;
            return fixedNames[kind] === name ? 0 : null;
        },
    };
}
//# sourceMappingURL=names.js.map