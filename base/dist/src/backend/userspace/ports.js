/** Ports of the configuration as native devices: opened before a flip, closed after it, never in between. */
import { isDeepStrictEqual } from 'node:util';
import { LockstepError } from '../../contract/errors.js';
import { fromNative } from '../../native/errors.js';
const kinds = { packet: 1, pcap: 2, tap: 3, source: 4 };
/** Name or path -> path of the namespace; empty for the agent's own. */
export const netnsPath = (netns) => netns === null ? '' : netns.includes('/') ? netns : `/run/netns/${netns}`;
function specOf(port, agentNetns) {
    const source = port.source;
    const opens = source?.mode === 'open' ? source : null;
    return {
        kind: kinds[port.kind], name: port.kind === 'pcap' ? port.name : port.device,
        netns: port.kind === 'packet' || port.kind === 'tap' ? netnsPath(port.netns ?? agentNetns) : '',
        in: port.input ?? '', out: port.output ?? '', mac: port.mac ?? '', mtu: 0, rate: opens?.rate ?? port.replay?.rate ?? 0, flows: opens?.flows ?? 0, loops: port.replay?.loops ?? 1,
        reflect: source !== null && opens === null, src: opens?.source ?? '', dst: opens?.destination ?? '', dport: opens?.port ?? 0, proto: opens?.protocol ?? 0
    };
}
export class PortSet {
    dataplane;
    open = new Map();
    constructor(dataplane) {
        this.dataplane = dataplane;
    }
    all() { return [...this.open.values()]; }
    /** Opens what is missing, and anew what has other settings now (another traffic source, MAC or replay). On error nothing new stays open. */
    prepare(d) {
        const next = new Map();
        const added = [];
        const undo = () => { for (const { device } of added.splice(0))
            this.dataplane.removePort(device); };
        for (const port of d.ports) {
            const spec = specOf(port, d.agent.netns);
            const known = this.open.get(port.name);
            if (known !== undefined && isDeepStrictEqual(known.spec, spec)) {
                next.set(port.name, { ...known, port });
                continue;
            }
            try {
                const opened = { port, spec, ...this.dataplane.addPort(spec) };
                next.set(port.name, opened);
                added.push(opened);
            }
            catch (error) {
                undo();
                throw refusal(port, error);
            }
        }
        return {
            all: [...next.values()],
            undo,
            enable: () => { for (const { device } of added)
                this.dataplane.enablePort(device); },
            closeStale: () => {
                const stale = this.all().filter(({ port, device }) => next.get(port.name)?.device !== device);
                this.open = next;
                for (const { device } of stale)
                    this.dataplane.removePort(device);
            }
        };
    }
}
function refusal(port, error) {
    const e = fromNative(error);
    const next = e.code === 'LS_E_PERMISSION' ? 'run as root, or grant CAP_NET_RAW and CAP_NET_ADMIN' : port.kind === 'pcap' ? 'check the capture files' : 'check the name and the namespace (ip -br link)';
    return new LockstepError(e.errorClass, e.code, e.message.replace(/^[A-Z_]+: /, ''), { object: `port ${port.name}`, next }, error);
}
//# sourceMappingURL=ports.js.map