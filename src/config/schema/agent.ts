/** Schema of `agent`, `reload`, `timeouts` and `nodes`: how the daemon itself runs. */
import { limits } from '../../generated/layout.js'
import { phase } from '../../generated/codes.js'
import { choice, duration, flag, integer, listOf, mapOf, name, object, ports, redundancyGroup, text, type JsonSchema } from './common.js'
import { formatDuration } from '../units.js'

export const kebab = (snake: string): string => snake.replaceAll('_', '-')

/** `agent.nat-history` when nobody says. */
export const NAT_HISTORY = 65_536

/** What may differ from node to node. */
const settings = {
  instance: { ...name('Tells several agents of one host apart.'), default: 'default' },
  'state-dir': text('Where generations, ids and keeper state live. Default: /var/lib/lockstep, or the user state directory without root.', { examples: ['/var/lib/lockstep'] }),
  socket: text('The unix socket of the operator API. Default: /run/lockstep/agent.sock, or the user runtime directory without root.', { examples: ['/run/lockstep/agent.sock'] }),
  backend: choice('Dataplane implementation.', ['userspace', 'ebpf', 'dpdk', 'vpp'], 'userspace'),
  labels: { ...mapOf('What this node is to whoever watches it: a rack, a site, a generation of hardware. At most 32; shown by `status`, with the agent in watches and on the web page.', text('A value.', { maxLength: 128 })), maxProperties: 32, default: {}, examples: [{ rack: 'b12', site: 'fra' }] },
  netns: { ...name('Network namespace of the ports that name no other. Default: the one the agent runs in.'), examples: ['lockstep-rt'] },
  workers: { type: ['integer', 'string'], default: 1, minimum: 0, maximum: limits.LS_THREADS_MAX, pattern: '^auto$', description: 'Packet workers; auto = one per usable CPU.', examples: [1, 'auto'] },
  'nat-history': { type: 'integer', default: NAT_HISTORY, minimum: 0, maximum: 10_000_000, description: 'Sessions with a translated source that have ended and are kept, the latest, for `lockstep nat-who`: 192 bytes each. Gone when the agent ends. 0: none.', examples: [1000000] },
  'log-level': choice('Least severe level that is logged; an apply or reload changes it at once. `lockstep run --log-level` wins.', ['trace', 'debug', 'info', 'warn', 'error', 'fatal'], 'info'),
  manage: choice('Who sets interface addresses: the operator’s tools (none). The agent (addresses) does not in this version.', ['none', 'addresses'], 'none'),
  'host-ports': ports('Ephemeral ports of the host itself. Source NAT on an address of the host must not overlap them.', { default: '32768-60999' }),
  table: object('The session table.', {
    capacity: { type: ['integer', 'string'], default: limits.LS_CAPACITY_DEFAULT, description: `Sessions: a power of two from ${limits.LS_CAPACITY_MIN} to ${limits.LS_CAPACITY_MAX}.`, examples: [1048576, '64k', '16M'] },
    hugepages: choice('Huge pages for the table: used when there are any (auto), required (on), never (off).', ['auto', 'on', 'off'], 'auto'),
  }),
  management: object('What no policy can close: TCP ports of this host.', {
    ports: listOf('TCP ports. Those of `gateway` that listen beyond loopback are added.', integer('TCP port', 1, 65535), { default: [22], maxItems: limits.LS_MGMT_PORTS_MAX }),
    interfaces: listOf('Only these interfaces. Default: every configured one.', name('interface'), { default: [] }),
  }),
  dpdk: object('The process that runs DPDK for `backend: dpdk`. Read when the agent starts.', {
    cpus: { type: ['integer', 'string'], pattern: '^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$', minimum: 0, description: 'CPUs for its packet workers, one each, in turn. Default: any.', examples: ['2-3', '1,3'] },
    hugepages: choice('Huge pages for packet buffers: used when there are enough (auto), required (on), never (off). Most physical ports need them.', ['auto', 'on', 'off'], 'auto'),
    memory: integer('MiB of its memory.', 64, 65536, { default: 128 }),
    buffers: integer('Packet buffers, for all ports together.', 1024, 1 << 22, { default: 16384 }),
    'frame-bytes': { type: 'integer', enum: [2048, 4096, 8192, 16384], default: 2048, description: 'Size of a packet buffer: the longest frame that its ports carry, and some bytes. An interface whose MTU does not fit is refused: over kernel interfaces 2048 takes an MTU of 1959.' },
    idle: choice('A worker without packets sleeps at last (sleep), up to a millisecond at a time, or polls on and keeps its CPU busy (poll).', ['sleep', 'poll'], 'sleep'),
    'eal-options': listOf('More arguments for EAL.', text('Argument', { maxLength: 255 }), { default: [], maxItems: 32, examples: [['--socket-limit=1024']] }),
  }),
  vpp: object('The VPP that `backend: vpp` programs. The sockets are read when the agent starts.', {
    'api-socket': text('Its binary API (`socksvr`).', { default: '/run/vpp/api.sock' }),
    transport: choice('Of requests: the socket, or shared memory by VPP’s own client library (shm), which is of one release of VPP and no faster from here. auto is the socket. `--vpp-transport` wins.', ['auto', 'socket', 'shm'], 'auto'),
    'api-prefix': { ...name('Prefix of its shared memory (`api-segment`), for shm. Default: none.'), examples: ['vpp1'] },
    library: text('Of shm: libvppapiclient.so. Default: searched in the usual folders.', { examples: ['/usr/lib/x86_64-linux-gnu/libvppapiclient.so'] }),
    'stats-socket': { type: ['string', 'null'], default: '/run/vpp/stats.sock', description: 'Its stats segment (`statseg`); null = it has none, and there are no counters.' },
    'tunnel-source4': text('IPv4 source of packets that it encapsulates; VIPs of mode gre with IPv4 reals need it.', { examples: ['192.0.2.254'] }),
    'tunnel-source6': text('The same for IPv6 reals.', { examples: ['2001:db8::254'] }),
    'nat-interfaces': listOf('Its interfaces behind which the reals of VIPs with mode nat are: it looks there for their answers, and drops everything else that comes in.', name('interface'), { default: [], examples: [['host-eth1']] }),
    'sticky-buckets': integer('Flows that each of its threads remembers, in fours: a power of two.', 16, 1 << 24, { default: 1024 }),
    'nat-sessions': object('Keep the sessions of its NAT44-EI in the session table, and with it at the peer, whose VPP has them then. Its pools are configured in VPP, the same on both.', {
      agent: text('IPv4 address and UDP port of this host where VPP tells of its sessions.', { examples: ['10.99.0.2:17100'] }),
      vpp: text('Address of one of its interfaces, and a UDP port, where it takes sessions: it asks nobody who they are, so keep the link private.', { examples: ['10.99.0.1:17101'] }),
      'redundancy-group': { ...redundancyGroup, default: 0 },
      refresh: duration('How often it tells of their counters; 1s to 1h.', '10s'),
    }, ['agent', 'vpp']),
    'nat44-ed-sessions': object('Keep the sessions of its NAT44-ED in the session table. It tells nobody of them and takes none: they are read in intervals, and at a peer static mappings stand for those of UDP and ICMP.', {
      'redundancy-group': { ...redundancyGroup, default: 0 },
      interval: duration('Between two reads, which stop its packets for a moment; 1s to 1h.', '30s'),
    }),
    'flow-timeout': duration('It forgets a flow after so long without a packet; 1s to 1d.', '40s'),
  }),
  gateway: object('Listeners of `lockstep gateway`, the unprivileged process that serves the network, unless its flags say otherwise. A change holds from its next start.', {
    grpc: { type: ['string', 'null'], default: '127.0.0.1:50461', description: 'Operator API over TCP, host:port; null = closed.' },
    metrics: { type: ['string', 'null'], default: '127.0.0.1:9461', description: 'Prometheus metrics over HTTP, host:port; null = closed.' },
  }),
  tracing: object('Traces of control operations (OpenTelemetry): calls that may change something, applies and their phases, changes of backend, moves, repairs. Default: nothing is traced.', {
    endpoint: text('Base URL of a collector, OTLP over HTTP in JSON; spans go to `/v1/traces` below it. http is for loopback, beyond it https.', { examples: ['http://127.0.0.1:4318'] }),
    sample: { type: 'number', minimum: 0, maximum: 1, default: 1, description: 'Share of the operations that begin here; what a caller traces (`traceparent` in its metadata) is traced as it says.' },
    plain: flag('Permit http beyond loopback: whoever is on the way reads names, and reasons of errors.', false),
  }, ['endpoint']),
}
export const agent = object('The daemon itself.', {
  node: { ...name('Name of this host in a pair or fleet; selects its entry under `nodes`. Default: the host name. `--node` wins.'), examples: ['edge-1'] },
  ...settings,
})

export const reload = object('What an apply does to sessions that exist.', {
  'policy-rematch': flag('Look sessions up in the new policies and close those that are now denied. With false they live on.', true),
})

/** Phases as kebab-case keys with their defaults. */
export function timeouts (description: string, withDefaults: boolean): JsonSchema {
  return object(description, Object.fromEntries(phase.map(p => [kebab(p.name), duration(`${p.text}.`, withDefaults ? formatDuration(p.ms) : undefined)])))
}

export const nodes = (interfaceSchema: JsonSchema, bgpSchema: JsonSchema): JsonSchema => mapOf(
  'Differences of single nodes that share this file (R29): laid over `agent`, `interfaces` and `bgp` key by key.',
  object('What differs on the node of this name.', {
    agent: object('The daemon itself.', settings),
    interfaces: mapOf('Interfaces by name; keys given here replace those of the shared entry.', interfaceSchema),
    bgp: { ...bgpSchema, description: 'BGP sessions of this node; sources and sinks replace those of their name.' },
  }))
