export class FakeSink {
    applied = [];
    fail = null;
    /** Runs inside apply, before it succeeds. */
    during = null;
    busy = 0;
    async apply(desired, generation, signal) {
        if (++this.busy > 1)
            throw new Error('two applies at once');
        try {
            signal.throwIfAborted();
            await this.during?.();
            if (this.fail !== null)
                throw this.fail;
            this.applied.push({ generation, desired });
            return result(generation);
        }
        finally {
            this.busy--;
        }
    }
    lastApplyResult() {
        const last = this.applied.at(-1);
        return last === undefined ? null : result(last.generation);
    }
    /** Zones of what is in force. */
    get zones() { return this.applied.at(-1)?.desired.zones.map(z => z.name).join(',') ?? ''; }
}
const result = (generation) => ({
    generation, zoneIds: {}, managedInterfaces: [], filterIds: {}, filterSpans: {}, natCounterIds: {}, poolIds: {}, policyNames: {}, appNames: {}, policyScheduleRuleSlots: {}, vips: {},
    capabilities: { supported: [], unsupportedReasons: {} }, warnings: [], durations: { compileMs: 0, portsMs: 0, flipMs: 0, totalMs: 0 },
});
export class FakeClock {
    timers = [];
    time = 1_800_000_000_000;
    /** Resolves when what a timer started has ended. */
    idle = settle;
    now = () => this.time;
    after = (ms, run) => {
        const timer = { at: this.time + ms, run };
        this.timers.push(timer);
        return () => { this.timers = this.timers.filter(t => t !== timer); };
    };
    /** Moves on and lets what is due finish. */
    async advance(ms) {
        const end = this.time + ms;
        for (;;) {
            const due = this.timers.filter(t => t.at <= end).sort((a, b) => a.at - b.at)[0];
            if (due === undefined)
                break;
            this.timers = this.timers.filter(t => t !== due);
            this.time = Math.max(this.time, due.at);
            due.run();
            await this.idle();
        }
        this.time = end;
        await this.idle();
    }
    get pending() { return this.timers.length; }
}
/** File operations are real, so this waits in real time. */
export async function settle() {
    for (let i = 0; i < 5; i++)
        await new Promise(resolve => setTimeout(resolve, 10));
}
//# sourceMappingURL=fake-sink.js.map