import { classOf, LockstepError } from '../contract/errors.js';
import { ConfigText, GenerationSource, GenerationState, PlanAction } from '../generated/proto/lockstep/v1/config.js';
import { VIOLATIONS_MAX } from './error-status.js';
import { RefusedError, unary } from './handler.js';
/** With room to spare below the 4 MiB that clients receive by default. */
const TEXT_BYTES_MAX = 2 << 20;
const CONFIRM_MS_MIN = 1000;
const CONFIRM_MS_MAX = 24 * 3600 * 1000;
const sources = {
    file: GenerationSource.GENERATION_SOURCE_FILE,
    grpc: GenerationSource.GENERATION_SOURCE_GRPC,
    rollback: GenerationSource.GENERATION_SOURCE_ROLLBACK,
    startup: GenerationSource.GENERATION_SOURCE_STARTUP
};
const states = {
    running: GenerationState.GENERATION_STATE_RUNNING,
    unconfirmed: GenerationState.GENERATION_STATE_UNCONFIRMED,
    superseded: GenerationState.GENERATION_STATE_SUPERSEDED,
    'rolled-back': GenerationState.GENERATION_STATE_ROLLED_BACK,
    failed: GenerationState.GENERATION_STATE_FAILED
};
const actions = {
    add: PlanAction.PLAN_ACTION_ADD,
    change: PlanAction.PLAN_ACTION_CHANGE,
    remove: PlanAction.PLAN_ACTION_REMOVE,
    keep: PlanAction.PLAN_ACTION_KEEP
};
export function configImplementation(services, onBug) {
    const { config } = services;
    return {
        getStatus: unary(onBug, () => {
            const s = config.status();
            return {
                running: s.running === null ? undefined : generationMessage(s.running),
                startupHash: s.startupHash ?? undefined,
                drift: s.drift,
                unconfirmed: s.unconfirmed === null ? undefined : generationMessage(s.unconfirmed)
            };
        }),
        getText: unary(onBug, (request) => ({ text: config.text(request.which === ConfigText.CONFIG_TEXT_STARTUP ? 'startup' : 'running') })),
        check: unary(onBug, async (request) => {
            const r = await config.check(boundedText(request.text));
            return {
                ok: r.ok,
                issues: r.issues.map((i) => ({ path: i.path, line: i.line ?? undefined, column: i.column ?? undefined, code: i.code, message: i.message, found: i.found, expected: i.expected })),
                warnings: [...r.warnings],
                plan: r.plan.map(planMessage)
            };
        }),
        apply: unary(onBug, async (request, context) => {
            const text = boundedText(request.text);
            try {
                return applied(await config.apply(text, applyOptions(request, context, 'grpc'), context.signal));
            }
            catch (error) {
                throw await withViolations(config, text, error);
            }
        }),
        rollback: unary(onBug, async (request, context) => applied(await config.rollback(generationNumber(request.generation), applyOptions(request, context, 'rollback'), context.signal))),
        confirm: unary(onBug, async (request) => {
            const waiting = config.status().unconfirmed;
            const number = request.generation === 0n ? waiting?.generation : generationNumber(request.generation);
            if (number === undefined) {
                throw new LockstepError('stale', 'LS_R_NOTHING_TO_CONFIRM', 'no generation waits for its confirmation', { object: 'config', next: 'look at the history: it may have rolled back' });
            }
            return { generation: generationMessage(await config.confirm(number)) };
        }),
        history: unary(onBug, (request) => {
            const all = [...config.history()].sort((a, b) => b.generation - a.generation);
            return { generations: (request.limit === 0 ? all : all.slice(0, request.limit)).map(generationMessage) };
        }),
        compare: unary(onBug, (request) => {
            const running = config.status().running?.generation ?? 0;
            const to = request.toGeneration === 0n ? running : generationNumber(request.toGeneration);
            const from = request.fromGeneration === 0n ? previousOf(config, to) : generationNumber(request.fromGeneration);
            return { plan: config.compare(from, to).filter((s) => s.action !== 'keep').map(planMessage) };
        }),
        save: unary(onBug, async () => {
            await config.save();
            const running = config.status().running;
            return { generation: running === null ? undefined : generationMessage(running) };
        })
    };
}
function applied({ info, result, plan }) {
    return { generation: generationMessage(info), plan: plan.map(planMessage), warnings: [...result.warnings], totalMs: result.durations.totalMs };
}
function generationMessage(g) {
    return {
        generation: BigInt(g.generation),
        appliedAtMs: BigInt(Math.round(g.appliedAt)),
        author: g.author,
        comment: g.comment,
        source: sources[g.source],
        hash: g.hash,
        state: states[g.state],
        confirmByMs: g.confirmBy === null ? undefined : BigInt(Math.round(g.confirmBy))
    };
}
function planMessage(step) {
    return { action: actions[step.action], kind: step.kind, name: step.name, detail: step.detail };
}
function applyOptions(request, { caller }, source) {
    return {
        author: authorOf(bounded('author', request.author, 256), caller),
        comment: bounded('comment', request.comment, 1024),
        source,
        expectedGeneration: request.expectedGeneration === undefined ? null : generationNumber(request.expectedGeneration),
        confirmWithinMs: request.confirmWithinMs === undefined ? null : confirmWithin(Number(request.confirmWithinMs)),
        requestId: request.requestId === '' ? null : bounded('request_id', request.requestId, 128),
        dryRun: request.dryRun
    };
}
/** A verified identity cannot be written over: what the request claims stands beside it. */
function authorOf(claimed, caller) {
    if (caller === null)
        return claimed === '' ? 'grpc' : claimed;
    return claimed === '' || claimed === caller ? caller : `${caller} (${claimed})`;
}
function confirmWithin(ms) {
    if (ms < CONFIRM_MS_MIN || ms > CONFIRM_MS_MAX) {
        throw new LockstepError('invalid', 'LS_R_CONFIRM', 'the time to confirm is out of range', { object: 'confirm_within_ms', found: String(ms), expected: `${CONFIRM_MS_MIN} to ${CONFIRM_MS_MAX}` });
    }
    return ms;
}
function generationNumber(value) {
    if (value > BigInt(Number.MAX_SAFE_INTEGER))
        throw new LockstepError('invalid', 'LS_R_GENERATION', 'no such generation', { object: 'generation', found: String(value) });
    return Number(value);
}
function bounded(field, value, bytesMax) {
    const bytes = Buffer.byteLength(value);
    if (bytes > bytesMax)
        throw new LockstepError('invalid', 'LS_R_TOO_LONG', 'the text is too long', { object: field, found: `${bytes} bytes`, expected: `at most ${bytesMax}` });
    return value;
}
const boundedText = (text) => bounded('text', text, TEXT_BYTES_MAX);
function previousOf(config, generation) {
    const earlier = config.history().map((g) => g.generation).filter((g) => g < generation);
    if (earlier.length === 0)
        throw new LockstepError('stale', 'LS_E_NOT_FOUND', 'there is no earlier generation', { object: `generation ${generation}` });
    return Math.max(...earlier);
}
/** Adds every error of a refused text to the error that refused it. */
async function withViolations(config, text, error) {
    if (!(error instanceof LockstepError) || classOf(error) !== 'invalid')
        return error;
    const check = await config.check(text).catch(() => null);
    const issues = check?.issues ?? [];
    if (issues.length === 0)
        return error;
    const violations = issues.slice(0, VIOLATIONS_MAX).map((i) => ({
        field: i.path,
        reason: i.code,
        description: `${i.line === null ? '' : `line ${i.line}: `}${i.message}${i.found === '' ? '' : `: found ${i.found}`}${i.expected === '' ? '' : `, expected ${i.expected}`}`
    }));
    return new RefusedError(error, violations);
}
//# sourceMappingURL=config-service.js.map