export const many = (value) => value === undefined ? [] : Array.isArray(value) ? value : [value];
//# sourceMappingURL=raw.js.map