import {} from '../../generated/proto/lockstep/v1/session.js';
import { messages } from '../client.js';
import { withAgent } from '../agent-link.js';
import { exitCode } from '../exit-codes.js';
import { addFilterOptions, filterMessage } from '../filter-options.js';
import { bytes, endpoint, parseCount, parseWait, printable, protocolName, time } from '../format.js';
import { enumWord, toJson } from '../json.js';
import { action, onlineVerb } from '../verb.js';
export function addWatch(sessions, cli) {
    addFilterOptions(onlineVerb(sessions, {
        usage: 'watch',
        summary: 'Show changes as they happen',
        about: 'Ends with Ctrl-C. A reader that is too slow loses changes and is told how many. --json prints one object a line.',
        examples: ['sessions watch --vip web', 'sessions watch --json --count 10', 'sessions watch --for 30s --protocol udp']
    }))
        .option('--count <n>', 'end after this many changes', parseCount)
        .option('--for <duration>', 'end after this time', parseWait)
        .action(action(cli, async (options) => await watch(cli, options)));
}
async function watch({ io }, options) {
    const over = new AbortController();
    const stop = () => over.abort();
    io.signal.addEventListener('abort', stop, { once: true });
    const timer = options.for === undefined ? null : setTimeout(stop, options.for);
    let left = options.count ?? Infinity;
    try {
        return await withAgent(io, options, async ({ sessions }) => {
            let first = true;
            for await (const { changes, lost } of messages(sessions.watch({ filter: filterMessage(options) }), over.signal)) {
                if (first)
                    io.err('watching; Ctrl-C ends\n');
                first = false;
                if (lost > 0n)
                    await lostLine(io, lost, options.json === true);
                for (const change of changes) {
                    if (left-- <= 0)
                        return exitCode.ok;
                    await io.out(options.json === true ? jsonLine(change) : textLine(change));
                }
                if (left <= 0)
                    return exitCode.ok;
            }
            return exitCode.ok;
        });
    }
    catch (error) {
        if (over.signal.aborted)
            return exitCode.ok;
        throw error;
    }
    finally {
        if (timer !== null)
            clearTimeout(timer);
        io.signal.removeEventListener('abort', stop);
    }
}
async function lostLine(io, lost, json) {
    if (json)
        await io.out(`${toJson({ lost })}\n`);
    else
        io.err(`${lost} changes lost: this reader or the ring was too slow\n`);
}
const kindWord = (change) => enumWord('SESSION_CHANGE_KIND', change.kind);
function jsonLine(change) {
    return `${toJson({ time: new Date().toISOString(), kind: kindWord(change), closeReason: change.closeReason.toLowerCase(), session: change.session })}\n`;
}
function textLine(change) {
    const s = change.session;
    if (s === undefined)
        return '';
    const words = [
        time(Date.now()).slice(11), kindWord(change).padEnd(8), protocolName(s.protocol).padEnd(5),
        endpoint(s.source, s.sourcePort).padEnd(21), '>', endpoint(s.destination, s.destinationPort).padEnd(21), s.phase.padEnd(15)
    ];
    if (s.vip !== '')
        words.push(`${s.vip} ${s.real}`);
    if (change.closeReason !== 'NONE')
        words.push(`${change.closeReason.toLowerCase()}, ${bytes(s.bytesForward)}B sent, ${bytes(s.bytesReply)}B received`);
    return `${printable(words.join(' ').trimEnd())}\n`;
}
//# sourceMappingURL=sessions-watch.js.map