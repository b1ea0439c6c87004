/** Runs one Promela model exhaustively: spin writes a verifier in C, the compiler builds it, the verifier visits every state. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
const run = promisify(execFile);
/** Tests run from the repository root; the models are not compiled to dist. */
export const modelsDirectory = join(process.cwd(), 'test', 'models');
async function answers(command, argument) {
    try {
        await run(command, [argument]);
        return true;
    }
    catch {
        return false;
    }
}
async function firstThatAnswers(commands) {
    for (const command of commands)
        if (await answers(command, '--version'))
            return command;
    return null;
}
/** The tools, or a text that names the missing one. */
export async function findTools() {
    if (!await answers('spin', '-V'))
        return 'spin is not installed (apt install spin)';
    const compiler = await firstThatAnswers(['cc', 'gcc', 'clang']);
    return compiler === null ? 'no C compiler is installed (apt install gcc)' : { compiler };
}
/** Reads what the verifier printed. */
export function readVerdict(output, seconds) {
    const errors = /errors: (\d+)/.exec(output)?.[1];
    const states = /([\d.e+]+) states, stored/.exec(output)?.[1];
    if (errors === undefined || states === undefined)
        throw new Error(`the verifier printed no result:\n${output}`);
    return {
        errors: Number(errors),
        exhaustive: !/max search depth too small|out of memory|Search not completed|truncated|reached -DMEMLIM/i.test(output),
        states: Number(states),
        seconds,
        failure: /^pan:1: (.*)$/m.exec(output)?.[1] ?? '',
    };
}
/** Verifies one model, named by its path below test/models. */
export async function verify(model, compiler, search) {
    const cwd = await mkdtemp(join(tmpdir(), 'lockstep-model-'));
    try {
        await run('spin', [`-P${compiler} -E -x c`, '-a', join(modelsDirectory, model)], { cwd });
        await run(compiler, [search === 'firstError' ? '-O0' : '-O1', '-w', '-DCOLLAPSE', '-DMEMLIM=2000', search === 'cycles' ? '-DNP' : '-DSAFETY',
            '-o', 'pan', 'pan.c'], { cwd });
        const start = performance.now();
        const { stdout } = await run(join(cwd, 'pan'), ['-m100000', ...search === 'cycles' ? ['-l'] : []], { cwd, maxBuffer: 1 << 24 });
        return readVerdict(stdout, (performance.now() - start) / 1000);
    }
    finally {
        await rm(cwd, { recursive: true, force: true });
    }
}
/** One line for the report. */
export function describe(verdict) {
    return `${verdict.states} states in ${verdict.seconds.toFixed(1)} s${verdict.failure === '' ? '' : `; ${verdict.failure}`}`;
}
//# sourceMappingURL=spin.js.map