/**
 * `lockstep lab`, `npm run lab`: builds a network of namespaces, runs the agent in its router, and shows with real programs what the router
 * does. Everything is removed at the end, also after Ctrl-C.
 */
import { setMaxListeners } from 'node:events';
import { createColors } from 'picocolors';
import { LockstepError } from '../../src/contract/errors.js';
import { quickstartConfig, shortTimeouts } from './config.js';
import { Lab } from './lab.js';
import { sizes, steps } from './steps.js';
import { addresses, labRefusal, labsRunning, removeLeftovers } from './topology.js';
const HELP = `Usage: lockstep lab [options]

Shows real traffic through this router, firewall and load balancer: a client and two servers in network namespaces, the agent
between them with examples/quickstart.yaml. Needs root. Removes everything at the end.

Options:
  --quick          fewer requests, about 20 s
  --full           1000 sequential and 64 parallel downloads of 1 MiB each way, iperf3 for 10 s
  --keep           after the demonstration leave it running until Ctrl-C, and say how to look around
  --json           results as one JSON object on standard output, nothing else
  --prefix NAME    of the namespaces (default: lockstep)
  --help
`;
export function parseOptions(argv) {
    const o = { size: (process.env['LOCKSTEP_LAB_FULL'] === '1' ? 'full' : 'normal'), keep: false, json: false, prefix: null, help: false };
    for (let i = 0; i < argv.length; i++) {
        const [name, inline] = (argv[i] ?? '').split('=', 2);
        if (name === '--quick' || name === '--full')
            o.size = name === '--quick' ? 'quick' : 'full';
        else if (name === '--keep')
            o.keep = true;
        else if (name === '--json')
            o.json = true;
        else if (name === '--help' || name === '-h')
            o.help = true;
        else if (name === '--prefix')
            o.prefix = inline ?? argv[++i] ?? '';
        else
            throw new LockstepError('invalid', 'LS_U_USAGE', 'unknown option of lab', { found: argv[i] ?? '', expected: '--quick, --full, --keep, --json, --prefix NAME or --help' });
    }
    return o;
}
export async function labMain(argv) {
    const o = parseOptions(argv);
    if (o.help) {
        process.stdout.write(HELP);
        return 0;
    }
    const refusal = await labRefusal(['curl', 'ping']);
    if (refusal !== null)
        throw new LockstepError('unsupported', 'LS_LAB_HOST', 'no lab can be built here', { found: refusal, next: 'npm run setup, as root, installs what is missing' });
    const c = createColors(process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '');
    const say = (text) => { if (!o.json)
        process.stdout.write(`${text}\n`); };
    const left = await removeLeftovers();
    if (left.length > 0)
        say(c.dim(`removed what an earlier lab left: ${left.join(', ')}`));
    // The first signal ends the demonstration and removes everything; a second one is not needed for that.
    const abort = new AbortController();
    setMaxListeners(0, abort.signal); // one for each curl at work
    const interrupt = () => { abort.abort(); };
    const interrupted = new Promise((_resolve, reject) => { abort.signal.addEventListener('abort', () => reject(new LockstepError('unavailable', 'LS_LAB_INTERRUPTED', 'interrupted')), { once: true }); });
    interrupted.catch(() => { });
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    for (const s of signals)
        process.on(s, interrupt);
    let lab = null;
    try {
        const prefix = o.prefix ?? freePrefix();
        say(c.bold('A lab of network namespaces'));
        say(`  ${prefix}-client ${addresses.client.v4} -- rt-client [${prefix}-rt: Lockstep] rt-server -- ${prefix}-s1 ${addresses.s1.v4}, ${prefix}-s2 ${addresses.s2.v4}`);
        say(`  VIPs http://${addresses.vip.v4}/ and http://[${addresses.vip.v6}]/; server one has twice the weight of server two`);
        lab = await Lab.open({ prefix });
        const agent = await lab.startAgent(quickstartConfig(prefix, [shortTimeouts]));
        say(`  HTTP servers: ${lab.servers.http}; agent ready after ${Math.round(agent.startMs)} ms; the router's kernel does not forward\n`);
        const results = [];
        for (const step of steps) {
            if (abort.signal.aborted)
                break;
            say(c.bold(step.title));
            const begun = performance.now();
            const result = await Promise.race([step.run(lab, sizes[o.size], abort.signal), interrupted]).catch((error) => ({ ok: false, lines: [error instanceof Error ? error.message : String(error)], figures: {} }));
            if (abort.signal.aborted)
                break;
            results.push({ name: step.name, seconds: Number(((performance.now() - begun) / 1000).toFixed(2)), ...result });
            for (const line of result.lines)
                say(`  ${line}`);
            say(`  ${result.ok === null ? c.yellow('left out') : result.ok ? c.green('ok') : c.red('FAILED')}\n`);
        }
        const failed = results.filter((r) => r.ok === false);
        if (!abort.signal.aborted && failed.length > 0)
            say(`${c.red('The agent said:')}\n${agent.log.trim().split('\n').filter((l) => !l.includes('"msg":"policy"')).slice(-10).join('\n')}\n`);
        if (o.json)
            process.stdout.write(`${JSON.stringify({ ok: failed.length === 0 && !abort.signal.aborted, size: o.size, http: lab.servers.http, agentReadyMs: Math.round(agent.startMs), steps: results.map(({ lines: _lines, ...rest }) => rest) }, null, 2)}\n`);
        if (o.keep && !abort.signal.aborted) {
            say(keepText(prefix, agent.socket));
            await interrupted;
        }
        if (abort.signal.aborted && !o.keep)
            say('interrupted');
        return abort.signal.aborted ? (o.keep ? 0 : 130) : failed.length === 0 ? 0 : 1;
    }
    catch (error) {
        if (abort.signal.aborted)
            return o.keep ? 0 : 130;
        throw error;
    }
    finally {
        await lab?.close();
        for (const s of signals)
            process.off(s, interrupt);
        say(c.dim('the lab is removed'));
    }
}
/** `lockstep`, or the next that no running lab has. */
function freePrefix() {
    const taken = new Set(labsRunning());
    for (let n = 1;; n++) {
        const prefix = n === 1 ? 'lockstep' : `lockstep${n}`;
        if (!taken.has(prefix))
            return prefix;
    }
}
function keepText(prefix, socket) {
    return `The lab stays until Ctrl-C. In another shell:
  export LOCKSTEP_SOCKET=${socket}
  npx lockstep sessions watch
  nsenter --net=/run/netns/${prefix}-client curl http://${addresses.vip.v4}/who
  nsenter --net=/run/netns/${prefix}-rt tcpdump -ni rt-client
  npx lockstep counters drops --rate 2s`;
}
//# sourceMappingURL=main.js.map