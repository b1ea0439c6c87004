export class NatUsageReader {
    #dataplane;
    #walk = null;
    #walkOf = null;
    #last = null;
    /** When the last walk began, failed ones too. */
    #begunAt = -Infinity;
    constructor(dataplane) { this.#dataplane = dataplane; }
    /** A reading of at most this age, as far as it depends on us. Rejects with what the walk threw. */
    async read(maxAgeMs) {
        if (!this.#isFresh(maxAgeMs))
            await this.#start();
        return this.latest() ?? { rows: [], ageMs: 0 };
    }
    /** For scrapes: starts a walk when the last began longer ago, waits `patienceMs` for it, and gives the newest reading there is. A walk
     * that failed leaves none. */
    async poll(maxAgeMs, patienceMs) {
        if (performance.now() - this.#begunAt >= maxAgeMs || this.#walkOf !== this.#dataplane())
            this.#start().catch(() => { });
        if (this.#walk !== null) {
            let timer;
            await Promise.race([this.#walk.catch(() => { }), new Promise((resolve) => { timer = setTimeout(resolve, patienceMs); })]);
            clearTimeout(timer);
        }
        return this.latest();
    }
    /** Of the dataplane that runs now; `null` when there is none. */
    latest() {
        const last = this.#last;
        return last === null || last.of !== this.#dataplane() ? null : { rows: last.rows, ageMs: performance.now() - last.at };
    }
    #isFresh(maxAgeMs) {
        const last = this.latest();
        return last !== null && last.ageMs <= maxAgeMs;
    }
    async #start() {
        const of = this.#dataplane();
        if (this.#walk === null || this.#walkOf !== of) {
            this.#walkOf = of;
            this.#walk = this.#take(of);
        }
        await this.#walk;
    }
    async #take(of) {
        const at = performance.now();
        this.#begunAt = at;
        try {
            const rows = await of.telemetry.natUsage();
            this.#last = { rows, at, of };
        }
        catch (error) {
            this.#last = null;
            throw error;
        }
        finally {
            if (this.#walkOf === of)
                this.#walk = null;
        }
    }
}
//# sourceMappingURL=nat-usage.js.map