/**
 * How fast a client gets a whole session table over gRPC, and what that does to the server's event loop.
 *
 *   rows_per_s         rows received and touched by this process, median of the runs, default columns
 *   rows_per_s_all     the same with every column
 *   loop_delay_p99_ms  99th percentile of the server's event-loop delay during the listings (1 ms timer, its period included)
 */
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { column as columnCodes } from '../../src/generated/codes.js';
import { connectAgent, messages, socketTarget } from '../../src/cli/client.js';
const serverFile = fileURLToPath(new URL('./server.js', import.meta.url));
export async function bench({ rows = 1_000_000, runs = 5, source = 'table', signal } = {}) {
    const directory = mkdtempSync(join(tmpdir(), 'ls-bench-'));
    const socketPath = join(directory, 'agent.sock');
    const child = fork(serverFile, [socketPath, String(rows), source], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    try {
        await answer(child);
        const connection = connectAgent(socketTarget(socketPath));
        await list(connection, [], rows, signal);
        child.send('reset');
        await answer(child);
        const some = [];
        const all = [];
        for (let i = 0; i < runs; i++) {
            some.push(await list(connection, [], rows, signal));
            all.push(await list(connection, columnCodes.map((c) => c.name), rows, signal));
        }
        child.send('read');
        const report = await answer(child);
        connection.close();
        return {
            rows,
            rows_per_s: Math.round(median(some.map((r) => r.rowsPerS))),
            rows_per_s_all: Math.round(median(all.map((r) => r.rowsPerS))),
            mib_per_s: Math.round(median(all.map((r) => r.mibPerS))),
            loop_delay_p99_ms: round(report.loopDelayP99Ms),
            loop_delay_max_ms: round(report.loopDelayMaxMs),
            server_rss_mib: Math.round(report.rssMiB)
        };
    }
    finally {
        child.disconnect();
        rmSync(directory, { recursive: true, force: true });
    }
}
/** One whole listing; every received byte is read once. */
async function list({ sessions }, columns, expected, signal) {
    const started = performance.now();
    let rows = 0;
    let bytes = 0;
    let sum = 0;
    for await (const batch of messages(sessions.list({ filter: undefined, columns, limit: 0n, batchRows: 0, withNames: false }), signal)) {
        rows += batch.rows;
        for (const { data } of batch.columns) {
            bytes += data.length;
            sum ^= touch(data);
        }
    }
    const seconds = (performance.now() - started) / 1000;
    if (rows !== expected)
        throw new Error(`${rows} of ${expected} rows arrived (checksum ${sum})`);
    return { rowsPerS: rows / seconds, mibPerS: bytes / seconds / 2 ** 20 };
}
function touch(data) {
    let sum = 0;
    const aligned = data.byteOffset % 4 === 0 ? data : data.slice();
    const words = new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length >> 2);
    for (const word of words)
        sum ^= word;
    return sum;
}
async function answer(child) {
    return await new Promise((resolve, reject) => {
        const gone = (code) => reject(new Error(`the server process ended with ${code ?? 'a signal'}`));
        child.once('exit', gone);
        child.once('message', (message) => { child.off('exit', gone); resolve(message); });
    });
}
const round = (value) => Math.round(value * 100) / 100;
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;
export function describeMachine() {
    return `${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores, Node ${process.version}`;
}
if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const rows = Number(process.argv[2] ?? 1_000_000);
    const source = process.argv[3] === 'fabricated' ? 'fabricated' : 'table';
    process.stdout.write(`${JSON.stringify({ machine: describeMachine(), source, ...await bench({ rows, source }) }, null, 2)}\n`);
}
//# sourceMappingURL=main.js.map