/**
 * Who works when many ask at once. The agent has one main thread, and the addon's threads are shared with the disk: work that walks
 * the session table therefore stands in line, and a line has an end. What is beyond it is refused at once with RESOURCE_EXHAUSTED,
 * so ten thousand callers cost the agent neither its memory nor its other work. Thread: main.
 */
import { LockstepError } from '../contract/errors.js';
function tooMany(what, found, max) {
    return new LockstepError('exhausted', 'LS_R_TOO_MANY', 'too many at once', { object: what, found: String(found), expected: `at most ${max}`, next: 'try again later' });
}
/** Places for calls that last: no line, a place is free or it is not. */
export class Seats {
    #what;
    #max;
    #taken = 0;
    constructor(what, max) {
        this.#what = what;
        this.#max = max;
    }
    /** @throws exhausted LS_R_TOO_MANY */
    async hold(work) {
        if (this.#taken >= this.#max)
            throw tooMany(this.#what, this.#taken, this.#max);
        this.#taken++;
        try {
            return await work();
        }
        finally {
            this.#taken--;
        }
    }
}
/** Lets `atOnce` work and `waitingMax` wait, first come first served; who cancels leaves the line. */
export class Turnstile {
    #what;
    #atOnce;
    #waitingMax;
    #line = new Set();
    #working = 0;
    constructor(what, atOnce, waitingMax) {
        this.#what = what;
        this.#atOnce = atOnce;
        this.#waitingMax = waitingMax;
    }
    /** @throws exhausted LS_R_TOO_MANY */
    async run(signal, work) {
        if (this.#working >= this.#atOnce)
            await this.#wait(signal);
        else
            this.#working++;
        try {
            signal.throwIfAborted();
            return await work();
        }
        finally {
            const [next] = this.#line;
            if (next === undefined)
                this.#working--;
            else
                next();
        }
    }
    /** Resolves with the place of somebody who is done. */
    async #wait(signal) {
        if (this.#line.size >= this.#waitingMax)
            throw tooMany(this.#what, this.#line.size, this.#waitingMax);
        await new Promise((resolve, reject) => {
            const leave = () => {
                this.#line.delete(enter);
                reject(signal.reason);
            };
            const enter = () => {
                this.#line.delete(enter);
                signal.removeEventListener('abort', leave);
                resolve();
            };
            this.#line.add(enter);
            if (signal.aborted)
                leave();
            else
                signal.addEventListener('abort', leave, { once: true });
        });
    }
}
/** One step over the table in each turn of the event loop, whoever takes it: however many listings run, what else the agent does
 * waits for one step at most. */
export class TableTurns {
    #line = [];
    async next(signal) {
        await new Promise((resolve) => {
            this.#line.push(resolve);
            if (this.#line.length === 1)
                this.#schedule();
        });
        signal.throwIfAborted();
    }
    #schedule() {
        setImmediate(() => {
            this.#line.shift()?.();
            if (this.#line.length > 0)
                this.#schedule();
        });
    }
}
//# sourceMappingURL=turns.js.map