import { LockstepError } from '../contract/errors.js';
import { DeadlineTimer, OneAtATime, RequestMemory, systemClock } from './authority-parts.js';
import { emptyIds, withIds } from './ids.js';
import { ConfigError } from './issues.js';
import { nameBook } from './names.js';
import { parseConfig } from './parse.js';
import { planConfig } from './plan.js';
import { unsupportedIssues } from './requires.js';
import { textHash } from './store.js';
const automatic = (source, comment) => ({ author: 'lockstep', comment, source, expectedGeneration: null, confirmWithinMs: null, requestId: null, dryRun: false });
const never = new AbortController().signal;
export class Authority {
    o;
    clock;
    turns = new OneAtATime(16);
    requests;
    deadline;
    running = null;
    startup = null;
    /** Texts of the history, so that compare() needs no disk. */
    texts = new Map();
    names = nameBook(() => this.ids());
    constructor(o) {
        this.o = o;
        this.clock = o.clock ?? systemClock;
        this.requests = new RequestMemory(this.clock, 600_000, 256);
        this.deadline = new DeadlineTimer(this.clock, async () => { await this.expire(); }, (error) => { o.onProblem?.('automatic rollback failed; it is tried again', error); });
    }
    desired() { return this.running?.desired ?? null; }
    ids() { return this.running?.desired.ids ?? emptyIds; }
    /**
     * Puts a configuration into force: rolls back what expired unconfirmed, else resumes what ran in this boot, else applies the startup
     * text; an edited startup text wins over what ran. `null` = there is nothing to start with.
     */
    async start(signal) {
        return await this.turns.run(signal, async () => {
            this.startup = await this.o.store.startup();
            for (const { generation } of this.o.store.state.history) {
                try {
                    this.texts.set(generation, await this.o.store.text(generation));
                }
                catch (error) {
                    this.o.onProblem?.(`generation ${generation}`, error);
                }
            }
            const { running, unconfirmed, startupHash, bootId } = this.o.store.state;
            if (unconfirmed !== null) {
                if (this.clock.now() < unconfirmed.confirmBy && bootId === (this.o.bootId ?? null))
                    return await this.resume(unconfirmed.generation, signal);
                return await this.rollBackTo(unconfirmed.previous, this.clock.now() < unconfirmed.confirmBy ? 'the host restarted before it was confirmed' : 'not confirmed in time', signal);
            }
            const edited = this.startup !== null && this.startup.hash !== startupHash;
            const sameBoot = running !== null && bootId !== null && bootId === (this.o.bootId ?? null);
            if (running !== null && this.texts.has(running) && (this.startup === null || (sameBoot && !edited) || this.startup.hash === this.o.store.info(running)?.hash))
                return await this.resume(running, signal);
            return this.startup === null ? null : await this.applyStartup(this.startup.text, 'startup', signal);
        });
    }
    close() { this.deadline.cancel(); }
    status() {
        const { running, unconfirmed } = this.o.store.state;
        const info = running === null ? null : this.o.store.info(running);
        return {
            running: info,
            startupHash: this.startup?.hash ?? null,
            drift: info !== null && info.hash !== this.startup?.hash,
            unconfirmed: unconfirmed === null ? null : this.o.store.info(unconfirmed.generation),
        };
    }
    text(which) {
        const text = which === 'running' ? this.running?.text : this.startup?.text;
        if (text === undefined)
            throw new LockstepError('stale', 'LS_E_NOT_FOUND', `there is no ${which} configuration`, { object: 'config', next: which === 'running' ? 'apply one' : 'save the running one' });
        return text;
    }
    async check(text) {
        const { desired, issues, warnings } = this.read(text);
        return { ok: desired !== null, issues, warnings, plan: desired === null ? [] : planConfig(this.desired(), desired) };
    }
    async apply(text, options, signal) {
        return await this.requests.once(options.requestId, textHash(text), async () => await this.turns.run(signal, async () => {
            this.refuseStale(options);
            this.refuseUnconfirmed();
            return await this.change(text, options, signal);
        }));
    }
    async confirm(generation) {
        return await this.turns.run(never, async () => {
            const { unconfirmed } = this.o.store.state;
            if (unconfirmed?.generation !== generation) {
                throw new LockstepError('stale', 'LS_C_NOT_UNCONFIRMED', 'the generation does not wait for a confirmation', { object: `generation ${generation}`, expected: unconfirmed === null ? 'none waits' : `generation ${unconfirmed.generation}` });
            }
            await this.o.store.commit({ unconfirmed: null, history: this.mark(this.o.store.state.history, generation, 'running') });
            this.deadline.cancel();
            return this.infoOf(generation);
        });
    }
    async rollback(generation, options, signal) {
        return await this.requests.once(options.requestId, `rollback ${generation}`, async () => await this.turns.run(signal, async () => {
            this.refuseStale(options);
            const { unconfirmed } = this.o.store.state;
            if (unconfirmed !== null && options.confirmWithinMs !== null)
                this.refuseUnconfirmed();
            const text = await this.o.store.text(generation);
            return await this.change(text, { ...options, source: 'rollback', comment: options.comment === '' ? `rollback to generation ${generation}` : options.comment }, signal);
        }));
    }
    history() { return this.o.store.state.history; }
    compare(fromGeneration, toGeneration) {
        const [from, to] = [fromGeneration, toGeneration].map(generation => {
            const text = this.texts.get(generation);
            const desired = text === undefined ? null : this.read(text).desired;
            if (desired === null)
                throw new LockstepError('stale', 'LS_E_NOT_FOUND', 'no such generation to compare', { object: `generation ${generation}`, expected: `one of ${[...this.texts.keys()].join(', ')}` });
            return desired;
        });
        return from === undefined || to === undefined ? [] : planConfig(from, to);
    }
    async save() {
        await this.turns.run(never, async () => {
            this.refuseUnconfirmed();
            const text = this.text('running');
            await this.o.store.saveStartup(text);
            this.startup = { text, hash: textHash(text) };
        });
    }
    /** The startup text as it is now, for SIGHUP. */
    async reload(signal) {
        return await this.turns.run(signal, async () => {
            this.refuseUnconfirmed();
            this.startup = await this.o.store.startup();
            return await this.applyStartup(this.text('startup'), 'file', signal);
        });
    }
    // --- under the turn ---------------------------------------------------------------------------------------------------
    read(text) {
        const result = parseConfig(text, this.o.parse);
        if (result.desired === null)
            return result;
        const unsupported = unsupportedIssues(result.desired, this.o.capabilities?.() ?? []);
        return unsupported.length === 0 ? result : { ...result, desired: null, issues: result.located(unsupported) };
    }
    async applyStartup(text, source, signal) {
        return await this.change(text, automatic(source, source === 'startup' ? 'startup configuration' : 'startup configuration reloaded'), signal, { startupHash: textHash(text) });
    }
    async change(text, options, signal, more = {}) {
        signal.throwIfAborted();
        const { store, sink } = this.o;
        const read = this.read(text);
        if (read.desired === null)
            throw new ConfigError(read.issues, read.issues.every(i => i.code === 'LS_C_UNSUPPORTED') ? 'unsupported' : 'invalid');
        const book = store.ids.assign(read.desired, this.o.held);
        const desired = withIds(read.desired, book);
        const plan = planConfig(this.desired(), desired);
        const now = this.clock.now();
        const confirmBy = options.confirmWithinMs === null ? null : now + options.confirmWithinMs;
        const draft = (generation, state) => ({ generation, appliedAt: now, author: options.author, comment: options.comment, source: options.source, hash: read.hash, state, confirmBy: state === 'unconfirmed' ? confirmBy : null });
        if (options.dryRun)
            return { info: draft(store.state.next, 'superseded'), result: sink.lastApplyResult() ?? emptyResult, plan };
        const generation = await store.begin(text);
        await store.saveIds(book);
        this.texts.set(generation, text);
        const { unconfirmed, running } = store.state;
        let history = store.state.history;
        if (unconfirmed !== null)
            history = this.mark(history, unconfirmed.generation, 'rolled-back');
        else if (running !== null)
            history = this.mark(history, running, 'superseded');
        const info = draft(generation, confirmBy === null ? 'running' : 'unconfirmed');
        const commit = await store.stage({
            ...more,
            running: generation,
            unconfirmed: confirmBy === null ? null : { generation, previous: running, confirmBy },
            history: [...history, info],
            bootId: this.o.bootId ?? null,
        });
        const failed = async () => {
            // A rollback that is tried again and again leaves one line, not a history of them.
            const repeats = (g) => g.state === 'failed' && g.hash === read.hash && g.comment === options.comment && g.author === 'lockstep';
            await store.commit({ history: [...store.state.history.filter(g => !repeats(g)), draft(generation, 'failed')] })
                .catch((error) => { this.o.onProblem?.(`generation ${generation} failed, which the history does not tell`, error); });
        };
        let result;
        try {
            result = await sink.apply(desired, generation, signal);
        }
        catch (error) {
            await failed();
            throw error instanceof ConfigError ? new ConfigError(read.located(error.issues), error.errorClass, error.code) : error;
        }
        try {
            await commit();
        }
        catch (error) {
            await this.takeBack(generation, desired);
            await failed();
            throw error;
        }
        this.settled();
        this.running = { text, desired };
        const applied = { info, result: { ...result, warnings: [...new Set([...read.warnings, ...book.warnings, ...result.warnings])] }, plan };
        this.o.onApplied?.(applied, desired);
        return applied;
    }
    /** The dataplane took a generation that the disk does not know: what the disk knows is applied again; nothing, when nothing ran. */
    async takeBack(generation, { agent }) {
        const { desired: nothing } = this.read('{}\n');
        try {
            if (this.running !== null)
                await this.o.sink.apply(this.running.desired, this.o.store.state.running ?? generation, never);
            else if (nothing !== null)
                await this.o.sink.apply({ ...nothing, agent }, generation, never);
        }
        catch (error) {
            this.o.onProblem?.(`generation ${generation} was not committed, but forwards: the configuration before it could not be put back`, error);
        }
    }
    /** After a commit that changed what runs. */
    settled() {
        const kept = new Set(this.o.store.state.history.map(g => g.generation));
        for (const generation of this.texts.keys())
            if (!kept.has(generation))
                this.texts.delete(generation);
        const { unconfirmed } = this.o.store.state;
        if (unconfirmed === null)
            this.deadline.cancel();
        else
            this.deadline.set(unconfirmed.confirmBy);
    }
    /** The same generation again, after a restart of the agent. */
    async resume(generation, signal) {
        const text = await this.o.store.text(generation);
        const read = this.read(text);
        if (read.desired === null)
            throw new ConfigError(read.issues);
        const book = this.o.store.ids.assign(read.desired, this.o.held);
        await this.o.store.saveIds(book);
        const desired = withIds(read.desired, book);
        const result = await this.o.sink.apply(desired, generation, signal);
        await this.o.store.commit({ running: generation, bootId: this.o.bootId ?? null });
        this.settled();
        this.running = { text, desired };
        const applied = { info: this.infoOf(generation), result, plan: planConfig(null, desired) };
        this.o.onApplied?.(applied, desired);
        return applied;
    }
    async expire() {
        await this.turns.run(never, async () => {
            const { unconfirmed } = this.o.store.state;
            if (unconfirmed === null || this.clock.now() < unconfirmed.confirmBy)
                return;
            await this.rollBackTo(unconfirmed.previous, 'not confirmed in time', never);
        });
    }
    async rollBackTo(previous, why, signal) {
        const text = previous === null ? this.startup?.text ?? null : await this.o.store.text(previous);
        const comment = `${why}: back to ${previous === null ? 'the startup configuration' : `generation ${previous}`}`;
        // Nothing ran before and nothing to start with: an empty configuration forwards nothing and allows management only.
        return await this.change(text ?? '{}\n', automatic('rollback', comment), signal);
    }
    mark(history, generation, state) {
        return history.map(g => g.generation === generation ? { ...g, state, confirmBy: null } : g);
    }
    infoOf(generation) {
        const info = this.o.store.info(generation);
        if (info === null)
            throw new LockstepError('bug', 'LS_E_BUG', 'a generation in force is not in the history', { object: `generation ${generation}` });
        return info;
    }
    refuseStale(options) {
        const { running } = this.o.store.state;
        if (options.expectedGeneration !== null && options.expectedGeneration !== (running ?? 0)) {
            throw new LockstepError('stale', 'LS_C_STALE', 'another generation is running', { object: 'config', found: `generation ${running ?? 0}`, expected: `generation ${options.expectedGeneration}`, next: 'read the running configuration and decide again' });
        }
    }
    refuseUnconfirmed() {
        const { unconfirmed } = this.o.store.state;
        if (unconfirmed === null)
            return;
        throw new LockstepError('stale', 'LS_C_UNCONFIRMED', 'an unconfirmed generation is running', { object: `generation ${unconfirmed.generation}`, found: `to be confirmed by ${new Date(unconfirmed.confirmBy).toISOString()}`, next: 'confirm it, or roll back' });
    }
}
const emptyResult = {
    generation: 0, zoneIds: {}, managedInterfaces: [], filterIds: {}, filterSpans: {}, natCounterIds: {}, poolIds: {}, policyNames: {}, appNames: {}, policyScheduleRuleSlots: {},
    vips: {}, capabilities: { supported: [], unsupportedReasons: {} }, warnings: [], durations: { compileMs: 0, portsMs: 0, flipMs: 0, totalMs: 0 },
};
//# sourceMappingURL=authority.js.map