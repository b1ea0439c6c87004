/** Names are keys of counters, labels and URLs: no spaces, slashes or colons; and keys of plain objects, so none that every object has. */
export const namePattern = '^(?!(constructor|toString|toLocaleString|valueOf|hasOwnProperty|isPrototypeOf|propertyIsEnumerable)$)[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$';
export const name = (description) => ({ type: 'string', pattern: namePattern, description });
export const text = (description, more = {}) => ({ type: 'string', minLength: 1, maxLength: 4096, description, ...more });
export const flag = (description, value) => ({ type: 'boolean', default: value, description });
export const choice = (description, values, value) => ({ type: 'string', enum: values, ...(value === undefined ? {} : { default: value }), description });
export const integer = (description, minimum, maximum, more = {}) => ({ type: 'integer', minimum, maximum, description, ...more });
/** `30s`, `1h30m`, or seconds. */
export const duration = (description, value) => ({ type: ['string', 'integer'], ...(value === undefined ? {} : { default: value }), description, examples: ['30s', '1h30m', 90] });
/** `80` or `8000-8080`. */
export const ports = (description, more = {}) => ({ type: ['integer', 'string'], description, examples: [80, '8000-8080'], ...more });
export const object = (description, properties, required = []) => ({ type: 'object', description, additionalProperties: false, properties, ...(required.length > 0 ? { required } : {}) });
/** Objects by name. */
export const mapOf = (description, item) => ({ type: 'object', description, propertyNames: { pattern: namePattern }, additionalProperties: item });
export const listOf = (description, items, more = {}) => ({ type: 'array', description, items, ...more });
/** One item or a list of them. */
export function oneOrMany(description, item, more = {}) {
    const { description: _, enum: choices, ...rest } = item;
    // An enum would refuse every list; a pattern judges texts only.
    const plain = Array.isArray(choices) ? { ...rest, pattern: `^(${choices.join('|')})$` } : rest;
    const own = Array.isArray(item['type']) ? item['type'] : [item['type']];
    return { ...plain, type: [...own, 'array'], items: { ...rest, ...(choices === undefined ? {} : { enum: choices }) }, description, ...more };
}
export const redundancyGroup = integer('Redundancy group; any but 0 is declared under `redundancy-groups`.', 0, 15);
export const domain = { ...name('Routing domain: the same address may exist once in each.'), default: 'default' };
export const spans = (description) => oneOrMany(`${description} Prefixes, addresses, ranges (\`192.0.2.1-192.0.2.9\`), names of the address book, or any, any-ipv4, any-ipv6.`, text('span'), { default: 'any', examples: ['10.0.0.0/8', ['servers', '2001:db8::/32']] });
export const zones = (description) => oneOrMany(description, text('zone'), { default: 'any', examples: ['clients', ['clients', 'guests']] });
export const applications = (description) => oneOrMany(`${description} Names (own or well-known), or written in place: \`tcp/8080\`, \`udp/5000-5010\`, \`tcp/80,443\`, \`proto/89\`.`, text('application'), { default: 'any', examples: ['http', ['https', 'tcp/8443']] });
//# sourceMappingURL=common.js.map