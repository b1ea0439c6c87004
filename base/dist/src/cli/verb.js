import { exitCode } from './exit-codes.js';
/** A verb that asks the agent: has --socket and --json. */
export function onlineVerb(parent, spec) {
    return offlineVerb(parent, spec)
        .option('--socket <path>', 'socket of the agent (default: LOCKSTEP_SOCKET, else the user\'s own, else the system\'s)')
        .option('--json', 'print JSON for programs');
}
export function offlineVerb(parent, spec) {
    const command = parent.command(spec.usage).summary(spec.summary).description(spec.about === undefined ? `${spec.summary}.` : `${spec.summary}.\n\n${spec.about}`);
    command.addHelpText('after', `\nExamples:\n${spec.examples.map((e) => `  lockstep ${e}`).join('\n')}`);
    return command;
}
/** Wraps a verb's work: what it returns is the exit code, nothing means 0. */
export function action(cli, work) {
    return async (...args) => { cli.outcome.code = await work(...args) ?? exitCode.ok; };
}
//# sourceMappingURL=verb.js.map