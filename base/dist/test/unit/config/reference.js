const cell = (text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
const code = (value) => `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
const child = (node) => typeof node.additionalProperties === 'object' ? node.additionalProperties : null;
function kind(node) {
    const types = typeof node.type === 'string' ? [node.type] : node.type ?? [];
    if (node.enum !== undefined)
        return node.enum.map(code).join(' ');
    const words = types.map(t => ({ object: child(node) === null ? 'keys' : 'names', array: 'list', string: 'text', integer: 'number', boolean: 'true, false' }[t] ?? t));
    const range = node.minimum === undefined ? '' : ` ${node.minimum}-${node.maximum ?? ''}`;
    return words.join(', ') + range;
}
function row(name, node, required) {
    const fallback = required ? '**required**' : node.default === undefined ? '' : code(node.default);
    const example = node.examples?.[0] === undefined || node.default !== undefined ? '' : ` Example: ${code(node.examples[0])}`;
    return `| \`${name}\` | ${cell(kind(node))} | ${cell(fallback)} | ${cell((node.description ?? '') + example)} |`;
}
/** Objects below `node` that deserve a table: path and node. */
function* objects(path, node) {
    if (node.properties !== undefined)
        yield [path, node];
    for (const [key, value] of Object.entries(node.properties ?? {}))
        yield* objects(path === '' ? key : `${path}.${key}`, value);
    const named = child(node);
    if (named !== null)
        yield* objects(`${path}.NAME`, named);
    if (node.items !== undefined && node.properties === undefined)
        yield* objects(`${path}[]`, node.items);
}
export function renderReference(schema) {
    const out = [];
    for (const [path, node] of objects('', schema)) {
        // Overlays repeat what agent and interfaces say.
        if (path.startsWith('nodes.NAME.'))
            continue;
        const properties = Object.entries(node.properties ?? {});
        out.push(`### ${path === '' ? 'The file' : `\`${path}\``}`, '', node.description ?? '', '', '| key | value | default | meaning |', '|---|---|---|---|');
        for (const [name, value] of properties)
            out.push(row(name, value, node.required?.includes(name) === true));
        out.push('');
    }
    return out.join('\n');
}
//# sourceMappingURL=reference.js.map