/** Of whatever was thrown, the words: for a log, a reason, an event. Pure. */
export const causeOf = (error: unknown): string => error instanceof Error ? error.message : String(error)
