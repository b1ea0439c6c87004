/**
 * A client for the lab, run inside a namespace: `node net-client.js '{"kind":"udp",…}'`. Prints one line of JSON: NetClientFigures.
 * It sends at a steady pace and tells how long it ever waited: the longest gap shows a hole in forwarding that retransmissions would hide.
 */
import { createSocket } from 'node:dgram';
import { get } from 'node:http';
import { connect, isIPv6 } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { quantiles } from './figures.js';
async function udp(o) {
    const socket = createSocket({ type: isIPv6(o.host) ? 'udp6' : 'udp4', recvBufferSize: 4 << 20 });
    const seen = new Observed();
    await new Promise((resolve, reject) => socket.on('error', reject).bind(0, o.from, resolve));
    socket.removeAllListeners('error').on('error', (error) => seen.fail(error.message));
    await new Promise((resolve) => socket.connect(o.port, o.host, resolve));
    socket.on('message', (message) => {
        const text = message.toString('latin1');
        seen.answer(Number(/ (\d+) /.exec(text)?.[1]), text.slice(0, text.indexOf(' ')));
    });
    await pace(o, async (n) => {
        seen.question(n);
        socket.send(`${n} `.padEnd(o.bytes, '.'), (error) => { if (error instanceof Error)
            seen.fail(error.message); });
    }, () => false);
    await seen.wait(o.patienceMs);
    socket.close();
    return seen.figures();
}
async function tcp(o) {
    const seen = new Observed();
    const socket = connect({ host: o.host, port: o.port, noDelay: true, ...(o.from === undefined ? {} : { localAddress: o.from }) });
    let held = '';
    let name = null;
    socket.on('data', (bytes) => {
        const lines = (held + bytes.toString('latin1')).split('\n');
        held = lines.pop() ?? '';
        for (const line of lines) {
            if (name === null)
                name = line.split(' ')[0] ?? '';
            else
                seen.answer(Number(line.split(' ')[0]), name);
        }
    });
    let closed = false;
    socket.on('error', (error) => { closed = true; seen.fail(error.message); });
    socket.on('close', () => { closed = true; });
    const timer = setTimeout(() => socket.destroy(new Error('no connection in time')), o.patienceMs);
    await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
    clearTimeout(timer);
    await pace(o, async (n) => {
        seen.question(n);
        socket.write(`${n} `.padEnd(o.bytes - 1, '.') + '\n');
    }, () => closed);
    if (!closed)
        await seen.wait(o.patienceMs);
    else
        seen.fail('closed by the other side');
    // The other side may be out of reach by now.
    socket.end();
    setTimeout(() => socket.destroy(), 500).unref();
    return seen.figures();
}
/** Many short connections, for shares: 32 at a time, as fast as they come. */
async function http(o) {
    const seen = new Observed();
    let next = 0;
    const work = async () => {
        while (next < o.count) {
            const n = next++;
            seen.question(n);
            await new Promise((resolve) => {
                const request = get({ host: o.host, port: o.port, path: '/who', agent: false, timeout: o.patienceMs, ...(o.from === undefined ? {} : { localAddress: o.from }) }, (response) => {
                    response.resume().on('end', () => { seen.answer(n, String(response.headers['x-server'] ?? 'nobody')); resolve(); });
                });
                request.on('timeout', () => request.destroy(new Error('no answer in time')));
                request.on('error', (error) => { seen.fail(error.message); resolve(); });
            });
        }
    };
    await Promise.all(Array.from({ length: 32 }, work));
    return seen.figures();
}
/** SIGUSR1: no more questions; wait for the answers and tell. */
let enough = false;
process.on('SIGUSR1', () => { enough = true; });
/** Calls `step` on time even when one was late. */
async function pace(o, step, over) {
    const begun = performance.now();
    for (let n = 0; n < o.count && !enough && !over(); n++) {
        await step(n);
        const wait = begun + (n + 1) * o.intervalMs - performance.now();
        if (wait > 0)
            await sleep(wait);
    }
}
class Observed {
    #sentAt = new Map();
    #rtts = [];
    #servers = {};
    #sent = 0;
    #last = 0;
    #gap = 0;
    #error = null;
    #wake = () => { };
    question(n) { this.#sent++; this.#sentAt.set(n, performance.now()); }
    fail(message) { this.#error ??= message; }
    answer(n, server) {
        const sent = this.#sentAt.get(n);
        if (sent === undefined)
            return;
        this.#sentAt.delete(n);
        const now = performance.now();
        this.#rtts.push(now - sent);
        if (this.#last > 0)
            this.#gap = Math.max(this.#gap, now - this.#last);
        this.#last = now;
        this.#servers[server] = (this.#servers[server] ?? 0) + 1;
        this.#wake();
    }
    /** Until every question is answered. */
    async wait(patienceMs) {
        const deadline = performance.now() + patienceMs;
        while (this.#sentAt.size > 0 && performance.now() < deadline) {
            await new Promise((resolve) => { this.#wake = resolve; setTimeout(resolve, 50); });
        }
    }
    figures() {
        return { sent: this.#sent, received: this.#rtts.length, servers: this.#servers, rttMs: quantiles(this.#rtts), longestGapMs: this.#gap, error: this.#error };
    }
}
const options = JSON.parse(process.argv[2] ?? '{}');
process.stdout.write(`${JSON.stringify(await { udp, tcp, http }[options.kind](options))}\n`);
//# sourceMappingURL=net-client.js.map