/** Mechanisms of the authority: taking turns, remembering requests, a deadline that survives failing. */
import { LockstepError } from '../contract/errors.js';
export const systemClock = {
    now: () => Date.now(),
    after: (ms, run) => {
        const timer = setTimeout(run, ms);
        return () => { clearTimeout(timer); };
    },
};
/** Tasks one after another, in order of arrival; at most `max` wait. */
export class OneAtATime {
    max;
    last = Promise.resolve();
    waiting = 0;
    constructor(max) {
        this.max = max;
    }
    async run(signal, task) {
        if (this.waiting >= this.max)
            throw new LockstepError('exhausted', 'LS_C_BUSY', 'too many configuration changes wait', { object: 'config', found: String(this.waiting), next: 'try again later' });
        this.waiting++;
        const before = this.last;
        const mine = (async () => {
            await before;
            this.waiting--;
            signal.throwIfAborted();
            return await task();
        })();
        this.last = mine.catch(() => undefined);
        return await mine;
    }
}
/** The result of a request is given again to whoever repeats its id within `ttlMs`. Failures are forgotten: they may be retried. */
export class RequestMemory {
    clock;
    ttlMs;
    max;
    known = new Map();
    constructor(clock, ttlMs, max) {
        this.clock = clock;
        this.ttlMs = ttlMs;
        this.max = max;
    }
    async once(id, content, run) {
        if (id === null)
            return await run();
        const now = this.clock.now();
        for (const [key, { at }] of this.known)
            if (now - at > this.ttlMs || this.known.size > this.max)
                this.known.delete(key);
        const earlier = this.known.get(id);
        if (earlier !== undefined) {
            if (earlier.content !== content)
                throw new LockstepError('invalid', 'LS_C_REQUEST_ID', 'the request id was used for something else', { object: `request ${id}`, next: 'use a new id for a new request' });
            return await earlier.result;
        }
        const result = run();
        this.known.set(id, { content, at: now, result });
        result.catch(() => { if (this.known.get(id)?.result === result)
            this.known.delete(id); });
        return await result;
    }
}
const sleepMsMax = 2 ** 31 - 1;
const retryMs = [1000, 2000, 5000, 15_000, 60_000];
/** Runs `expire` at a point of Unix time, and again with growing pauses until it succeeds. */
export class DeadlineTimer {
    clock;
    expire;
    failed;
    stop = null;
    serial = 0;
    constructor(clock, expire, failed) {
        this.clock = clock;
        this.expire = expire;
        this.failed = failed;
    }
    set(at) {
        this.cancel();
        this.arm(at, this.serial, 0);
    }
    cancel() {
        this.serial++;
        this.stop?.();
        this.stop = null;
    }
    arm(at, serial, failures) {
        const wait = Math.max(0, at - this.clock.now());
        this.stop = this.clock.after(Math.min(wait, sleepMsMax), () => {
            if (serial !== this.serial)
                return;
            if (this.clock.now() < at)
                this.arm(at, serial, failures);
            else
                void this.fire(serial, failures);
        });
    }
    async fire(serial, failures) {
        try {
            await this.expire();
        }
        catch (error) {
            this.failed(error);
            if (serial === this.serial)
                this.arm(this.clock.now() + (retryMs[Math.min(failures, retryMs.length - 1)] ?? 60_000), serial, failures + 1);
        }
    }
}
//# sourceMappingURL=authority-parts.js.map