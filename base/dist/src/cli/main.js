#!/usr/bin/env node
/** The `lockstep` command. A reader that closes the pipe early (`| head`) ends it quietly. */
import { processIo } from './io.js';
import { cliMain, isBrokenPipe } from './program.js';
// Whoever writes is told by `out`; without a listener the process would end with a stack.
process.stdout.on('error', () => { });
process.stderr.on('error', () => { });
try {
    process.exitCode = await cliMain(process.argv.slice(2), processIo());
}
catch (error) {
    if (!isBrokenPipe(error))
        throw error;
    process.exitCode = 0;
}
//# sourceMappingURL=main.js.map