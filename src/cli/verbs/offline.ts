/** run, quickstart, gateway, check, teardown, lab, bench: verbs that need no running agent. */
import { Option, type Command } from 'commander'
import type { ConfigCheckResponse } from '../../generated/proto/lockstep/v1/config.js'
import { call } from '../client.js'
import { socketGiven, socketPathOf, withAgent } from '../agent-link.js'
import { gatewayListeners } from '../gateway-listeners.js'
import { exitCode } from '../exit-codes.js'
import { printable } from '../format.js'
import { toJson } from '../../lib/json.js'
import { load } from '../modules.js'
import { action, offlineVerb, onlineVerb, type Cli, type CommonOptions } from '../verb.js'
import { readConfig } from './config.js'
import { issueLine, planJson, planText, type IssueText } from './generations.js'

const takesOver = 'it takes over its process until it ends'

export function addOffline (parent: Command, cli: Cli): void {
  addRun(parent, cli)
  addGateway(parent, cli)
  addCheck(parent, cli)
  addTeardown(parent, cli)
  passThrough(parent, cli, 'lab', 'Show real traffic through network namespaces of its own', ['lab', 'lab --help'], async (argv) => await (await load('lab')).labMain(argv))
  passThrough(parent, cli, 'bench', 'Measure on this host', ['bench reconcile --backend userspace --sessions 1000000 --stale 0.01', 'bench table --json', 'bench --help'], async (argv) => await (await load('bench')).benchMain(argv))
}

function addRun (parent: Command, cli: Cli): void {
  offlineVerb(parent, {
    usage: 'run [config]',
    alone: takesOver,
    summary: 'Run the agent in the foreground',
    about: 'Without a file it starts with the startup configuration of its state directory (`lockstep save`). SIGHUP reads the file again, SIGTERM ends it.',
    examples: ['run /etc/lockstep/edge.yaml', 'run edge.yaml --backend userspace --socket /tmp/ls.sock', 'quickstart']
  })
    .option('--backend <name>', 'userspace, ebpf, dpdk or vpp (default: as configured)')
    .option('--vpp-transport <name>', 'socket, shm or auto: how a VPP is spoken to (default: as configured)')
    .option('--socket <path>', 'serve this socket')
    .option('--state <directory>', 'keep generations and the startup configuration here')
    .option('--instance <name>', 'name of this instance when a host runs several')
    .option('--node <name>', 'which node of the file this is (default: agent.node, else the host name)')
    .addOption(new Option('--log-level <level>', 'least severe level that is logged, whatever the file says (default: as configured)').choices(['trace', 'debug', 'info', 'warn', 'error', 'fatal']))
    .action(action(cli, async (config: string | undefined, o: { backend?: string, vppTransport?: string, socket?: string, state?: string, instance?: string, node?: string, logLevel?: string }) => {
      const { runAgent } = await load('main')
      cli.io.signal.throwIfAborted() // from here on the agent listens to signals itself
      return await runAgent({
        config: config ?? null,
        backend: o.backend ?? null,
        vppTransport: o.vppTransport ?? null,
        socketPath: socketGiven(cli.io, o),
        stateDirectory: o.state ?? null,
        instance: o.instance ?? null,
        node: o.node ?? null,
        logLevel: o.logLevel ?? null
      })
    }))

  offlineVerb(parent, { usage: 'quickstart', alone: takesOver, summary: 'Run a small agent with traffic of its own to look at', examples: ['quickstart'] })
    .option('--socket <path>', 'serve this socket')
    .action(action(cli, async (o: { socket?: string }) => await (await load('quickstart')).quickstart({ socketPath: socketGiven(cli.io, o) })))
}

function addGateway (parent: Command, cli: Cli): void {
  offlineVerb(parent, {
    usage: 'gateway',
    alone: takesOver,
    summary: 'Serve the web page, metrics and gRPC over TCP for agents, without privileges',
    about: 'HTTP: the web page, /metrics, /healthz, /api and the debug pages at /debug. gRPC: everything the agent serves. Where it listens is asked of the agent once, unless both --http and --grpc say it. Plain TCP is for loopback only and has the role viewer unless --role says otherwise; other addresses need --tls-cert, --tls-key and --tls-ca, and the role stands in the client certificate as OU (viewer, operator or admin). Started as root it opens its listeners, then becomes --user. With --server it shows several agents, and gRPC is off; agents beyond this host are reached with the TLS files as client certificate. SIGHUP reads the TLS files again, if --user may.',
    examples: ['gateway', 'gateway --http 0.0.0.0:9461 --grpc 0.0.0.0:50461 --tls-cert gw.crt --tls-key gw.key --tls-ca clients.crt', 'gateway --grpc off', 'gateway --server edge-1=unix:/run/lockstep/agent.sock,edge-2=10.0.0.2:50461 --tls-cert gw.crt --tls-key gw.key --tls-ca ca.crt']
  })
    .option('--socket <path>', 'socket of the agent')
    .addOption(new Option('--server <name=address...>', 'these agents instead: unix:/path, or host:port of the gRPC of their gateways').conflicts('socket'))
    .option('--http <address:port>', 'web page, metrics and health; off: none (default: agent.gateway.metrics of the running configuration; with --server 127.0.0.1:9461)')
    .option('--grpc <address:port>', 'gRPC over TCP; off: none (default: agent.gateway.grpc)')
    .option('--debug <address:port>', 'debug pages by a listener of their own; off: none (default: /debug beside the metrics)')
    .option('--debug-link <name=url>', 'a link out of the debug pages, [TABLE/]NAME=https://HOST/...{column}; may be repeated', (value: string, before: readonly string[] = []) => [...before, value])
    .option('--role <role>', 'role of callers on plain loopback: viewer, operator or admin', 'viewer')
    .option('--user <name>', 'run as this user when started as root', 'nobody')
    .option('--tls-cert <file>', 'certificate of the gateway (PEM)')
    .option('--tls-key <file>', 'its key (PEM)')
    .option('--tls-ca <file>', 'authorities of client certificates (PEM)')
    .action(action(cli, async (o: { socket?: string, server?: string[], http?: string, grpc?: string, debug?: string, debugLink?: readonly string[], role: string, user: string, tlsCert?: string, tlsKey?: string, tlsCa?: string }) => {
      const { gatewayMain } = await load('gateway')
      const at = await gatewayListeners(cli.io, o)
      if (at === null) return exitCode.ok
      return await gatewayMain({ ...o, debugLinks: o.debugLink, http: at.http.at, grpc: at.grpc.at, named: { http: at.http.named, grpc: at.grpc.named }, socketPath: o.server === undefined ? await socketPathOf(cli.io, o) : '', servers: o.server, // A reader that has gone is no reason to stop serving.
        onReady: (text) => { cli.io.out(`${text}\n`).catch(() => {}) }, onNote: (text) => { cli.io.err(`${text}\n`) }, signal: cli.io.signal })
    }))
}

function addTeardown (parent: Command, cli: Cli): void {
  offlineVerb(parent, {
    usage: 'teardown',
    summary: 'Remove what an eBPF agent left forwarding: programs, maps, sessions',
    about: 'After `lockstep stop` an eBPF agent goes on forwarding without a process. This ends it: every program is detached, every map unpinned, the keeper ends. Refused while an agent runs.',
    examples: ['teardown', 'teardown --instance edge']
  })
    .option('--instance <name>', 'agent.instance of the agent', 'default')
    .option('--json', 'one JSON object')
    .action(action(cli, async (o: { instance: string, json?: boolean }) => {
      const { teardown } = await load('main')
      const removed = await teardown(o.instance)
      await cli.io.out(o.json === true ? `${toJson({ instance: o.instance, removed })}\n` : removed ? `instance ${o.instance}: nothing of it is left in the kernel\n` : `instance ${o.instance} has nothing in the kernel\n`)
      return exitCode.ok
    }))
}

function addCheck (parent: Command, cli: Cli): void {
  onlineVerb(parent, {
    usage: 'check <file>',
    summary: 'Validate a configuration; every error at once',
    about: 'Needs no agent. Every node of the file is judged. With --running the agent checks it and shows what an apply would change. Exit code 1 when there are errors.',
    examples: ['check edge.yaml', 'check edge.yaml --running', 'check edge.yaml --node edge-2', 'check - --json < edge.yaml']
  })
    .addOption(new Option('--node <name>', 'show the plan of this node (default: agent.node, else the host name, else the first node)').conflicts('running'))
    .option('--running', 'ask the agent: plan against what runs')
    .action(action(cli, async (file: string, options: CommonOptions & { readonly running?: boolean, readonly node?: string }) => {
      const { io } = cli
      const text = await readConfig(io, file)
      const r = options.running === true
        ? await withAgent(io, options, async ({ config }) => await call(config, config.check, { text }))
        : await offlineCheck(text, { file: file === '-' ? null : file, node: options.node ?? null })
      if (options.json === true) await io.out(`${toJson({ ok: r.ok, issues: r.issues, warnings: r.warnings, plan: planJson(r.plan) }, 2)}\n`)
      else {
        const name = file === '-' ? 'stdin' : file
        for (const issue of r.issues) io.err(issueLine(name, issue))
        for (const warning of r.warnings) io.err(`${name}: warning: ${printable(warning)}\n`)
        if (r.ok) await io.out(r.plan.length === 0 ? `${name}: ok\n` : planText(r.plan, io))
        else io.err(`${name}: ${r.issues.length} ${r.issues.length === 1 ? 'error' : 'errors'}\n`)
      }
      return r.ok ? exitCode.ok : exitCode.failed
    }))
}

/** The library's result in the shape the agent would send. */
async function offlineCheck (text: string, options: { readonly file: string | null, readonly node: string | null }): Promise<Omit<ConfigCheckResponse, 'issues'> & { issues: readonly IssueText[] }> {
  const { checkText } = await load('config')
  const r = await checkText(text, options)
  const actions = { add: 'PLAN_ACTION_ADD', change: 'PLAN_ACTION_CHANGE', remove: 'PLAN_ACTION_REMOVE', keep: 'PLAN_ACTION_KEEP' } as const
  return { ok: r.ok, issues: r.issues, warnings: [...r.warnings], plan: r.plan.map((s) => ({ ...s, action: actions[s.action] as ConfigCheckResponse['plan'][number]['action'] })) }
}

/** A verb with a program of its own behind it: all that follows its name goes there, --help too. */
function passThrough (parent: Command, cli: Cli, name: string, summary: string, examples: readonly string[], run: (argv: string[]) => Promise<number>): void {
  offlineVerb(parent, { usage: name, alone: takesOver, summary, examples })
    .argument('[arguments...]', 'see --help')
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action(action(cli, async (argv: string[]) => await run(argv)))
}
