/**
 * Records examples/quickstart.pcap: what a client of the lab sends, frame by frame, for examples/quickstart-unprivileged.yaml to play.
 * `node dist/test/lab/record.js [FILE]`, as root. Only the client's frames: the answers come from whom they are played to.
 */
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { quickstartConfig } from './config.js';
import { Lab } from './lab.js';
import { ports } from './servers.js';
import { Background, run } from './shell.js';
import { addresses } from './topology.js';
import { curl, echo, httpUrl, ping, traceroute } from './traffic.js';
export const recordedFile = fileURLToPath(new URL('../../../examples/quickstart.pcap', import.meta.url));
export const RECORDED_BYTES_MAX = 150_000;
/** No ARP and no neighbour discovery: on a port that plays a capture nobody waits for them. */
const FILTER = '(ip or ip6) and not (icmp6 and (ip6[40] >= 130 and ip6[40] <= 143)) and not (ip6 and ip6[6] == 0)';
export async function record(file) {
    const lab = await Lab.open({ prefix: 'lockstep-record' });
    try {
        await lab.startAgent(quickstartConfig(lab.prefix));
        const client = lab.netns('client');
        // The client resolves its router first, so that the capture begins with traffic.
        await ping({ netns: client, to: addresses.routerClient.v4, count: 1 });
        await ping({ netns: client, to: addresses.routerClient.v6, count: 1 });
        const capture = new Background('tcpdump', client, ['tcpdump', '-Z', 'root', '-i', 'eth0', '-Q', 'out', '-s', '0', '-U', '-n', '-w', file, FILTER]);
        await capture.says('listening on');
        const get = async (url, count) => await curl({ netns: client, url, count, parallel: 2, sha256: null });
        for (let round = 0; round < 3; round++) {
            await get(httpUrl(addresses.vip.v4, 'small.txt'), 3);
            await get(httpUrl(addresses.vip.v6, 'small.txt'), 2);
            await get(httpUrl(addresses.s1.v4, 'small.txt', ports.httpAlt), 1);
            await get(httpUrl(addresses.s2.v6, 'who'), 1);
            for (const to of [addresses.s1.v4, addresses.s2.v6, addresses.vip.v4, addresses.routerClient.v4])
                await ping({ netns: client, to, count: 2, intervalS: 0.1 });
            for (const host of [addresses.s1.v4, addresses.s2.v6])
                await echo(client, { kind: 'udp', host, port: ports.echo, count: 4, intervalMs: 50, bytes: 60 });
            await sleep(500);
        }
        // In fragments; through hops that do not exist; and what the policies refuse.
        await ping({ netns: client, to: addresses.s1.v4, count: 1, size: 2500 });
        await ping({ netns: client, to: addresses.s2.v6, count: 1, size: 2500 });
        await traceroute({ netns: client, to: addresses.s1.v4, method: 'udp', hops: 2 });
        await run(['curl', '-q', '-sS', '-m', '1', 'telnet://10.77.2.11:25'], { netns: client });
        await sleep(300);
        await capture.stop('SIGINT');
        return statSync(file).size;
    }
    finally {
        await lab.close();
    }
}
if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const file = process.argv[2] ?? recordedFile;
    process.stdout.write(`${file}: ${await record(file)} bytes\n`);
}
//# sourceMappingURL=record.js.map