/** The filter as options, the same for list, count, watch and delete. */
import { Option } from 'commander';
import { usageError } from './exit-codes.js';
import { parseDuration, parseSmall } from './format.js';
const yesNo = (text) => {
    if (text !== 'yes' && text !== 'no')
        throw usageError('not yes or no', text, 'yes or no');
    return text === 'yes';
};
export function addFilterOptions(command) {
    const add = (flags, help, parse) => {
        const option = new Option(flags, help);
        if (parse !== undefined)
            option.argParser(parse);
        command.addOption(option);
    };
    add('--source <prefix>', 'client address or prefix');
    add('--destination <prefix>', 'destination as the client sent it');
    add('--address <prefix>', 'any of the four addresses');
    add('--source-port <n>', 'client port', parseSmall);
    add('--destination-port <n>', 'destination port', parseSmall);
    add('--port <n>', 'any of the four ports', parseSmall);
    add('--protocol <name>', 'tcp, udp, icmp, icmp6 … or a number');
    add('--family <4|6>', 'IPv4 or IPv6 only', parseSmall);
    add('--domain <name>', 'routing domain');
    add('--zone-in <name>', 'zone of the first packet');
    add('--zone-out <name>', 'zone it left to');
    add('--policy <name>', 'policy that permitted it');
    add('--vip <name>', 'VIP it was sent to');
    add('--real <name>', 'real that serves it');
    add('--app <name>', 'application');
    add('--rg <n>', 'redundancy group, 255: none', parseSmall);
    command.option('--phase <name...>', 'any of these phases, for example TCP_ESTABLISHED');
    add('--snat <yes|no>', 'source is translated', yesNo);
    add('--dnat <yes|no>', 'destination is translated', yesNo);
    add('--from-peer <yes|no>', 'came from the peer', yesNo);
    add('--min-idle <duration>', 'idle for at least this long, for example 30s', parseDuration);
    add('--min-age <duration>', 'at least this old', parseDuration);
    add('--max-age <duration>', 'younger than this', parseDuration);
    add('--id <hex>', 'session id');
    return command;
}
export function filterMessage(o) {
    const ms = (value) => (value === undefined ? undefined : BigInt(value));
    return {
        source: o.source ?? '',
        destination: o.destination ?? '',
        address: o.address ?? '',
        sourcePort: o.sourcePort,
        destinationPort: o.destinationPort,
        port: o.port,
        protocol: o.protocol ?? '',
        family: o.family ?? 0,
        domain: o.domain ?? '',
        zoneIn: o.zoneIn ?? '',
        zoneOut: o.zoneOut ?? '',
        policy: o.policy ?? '',
        vip: o.vip ?? '',
        real: o.real ?? '',
        app: o.app ?? '',
        rg: o.rg,
        phases: (o.phase ?? []).flatMap((p) => p.split(',')),
        snat: o.snat,
        dnat: o.dnat,
        fromPeer: o.fromPeer,
        minIdleMs: ms(o.minIdle),
        minAgeMs: ms(o.minAge),
        maxAgeMs: ms(o.maxAge),
        id: o.id ?? ''
    };
}
/** The filter names something, so that what it means is not "every session". */
export const isFiltered = (message) => Object.values(message).some((v) => v !== undefined && v !== '' && v !== 0 && !(Array.isArray(v) && v.length === 0)) || message.rg === 0;
//# sourceMappingURL=filter-options.js.map