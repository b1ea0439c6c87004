import { cliMain } from '../../../src/cli/program.js';
export async function runCli(argv, { env = {}, width = null, color = false, stdin = '', signal = new AbortController().signal } = {}) {
    let out = '';
    let err = '';
    const io = {
        out: async (text) => { out += text; },
        err: (text) => { err += text; },
        env: { PATH: '', ...env },
        width,
        color,
        errColor: color,
        stdin: async () => stdin,
        signal
    };
    const code = await cliMain(argv, io);
    return { code, out, err };
}
//# sourceMappingURL=run-cli.js.map