export class LockstepError extends Error {
    errorClass;
    /** Stable identifier, for example `LS_E_FULL` or `LS_C_UNKNOWN_KEY`. */
    code;
    detail;
    constructor(errorClass, code, what, detail = {}, cause) {
        super(errorText(code, what, detail), cause === undefined ? undefined : { cause });
        this.name = 'LockstepError';
        this.errorClass = errorClass;
        this.code = code;
        this.detail = detail;
    }
}
/** `code: object: what: found X, expected Y; next`. */
function errorText(code, what, d) {
    const object = d.object === undefined ? '' : `${d.object}: `;
    const found = d.found === undefined ? '' : `: found ${d.found}`;
    const expected = d.expected === undefined ? '' : `${found === '' ? ': ' : ', '}expected ${d.expected}`;
    const next = d.next === undefined ? '' : `; ${d.next}`;
    return `${code}: ${object}${what}${found}${expected}${next}`;
}
/** The class of any thrown value; what is not ours is a bug. */
export function classOf(error) {
    return error instanceof LockstepError ? error.errorClass : 'bug';
}
//# sourceMappingURL=errors.js.map