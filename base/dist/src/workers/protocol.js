/** Every message between the main thread and its workers. */
export {};
//# sourceMappingURL=protocol.js.map