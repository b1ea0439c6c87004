export {};
//# sourceMappingURL=dataplane.js.map