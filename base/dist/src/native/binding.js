/** The whole surface of the core addon, in the addon's order (native/addon). All fields present, `null` for "none". */
export {};
//# sourceMappingURL=binding.js.map