/** Sessions as they cross into TypeScript: filters in, columns out; a row object only for what a person asked to see. */
export {};
//# sourceMappingURL=session.js.map