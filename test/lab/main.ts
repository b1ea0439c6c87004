/** `lockstep lab [ha]`, `npm run lab`: builds a network of namespaces, runs the agent in its router, or a pair in two, and shows with real programs what it does. */
import { LockstepError } from '../../src/contract/errors.js'
import { quickstartConfig, shortTimeouts } from './config.js'
import { show, type ShowOptions, type Stage } from './demonstrate.js'
import { pairStage } from './ha-steps.js'
import { Lab } from './lab.js'
import { steps, type SizeName } from './steps.js'
import { addresses } from './topology.js'

const HELP = `Usage: lockstep lab [ha] [options]

Shows real traffic through this router, firewall and load balancer: a client and two servers in network namespaces, the agent
between them with examples/quickstart.yaml. Needs root. Removes everything at the end.

  ha               a pair of routers instead: sessions on both, planned moves and the death of the owner under downloads,
                   links that are cut and heal; about two minutes

Options:
  --quick          fewer requests, about 20 s; with ha about a minute
  --full           1000 sequential and 64 parallel downloads of 1 MiB each way, iperf3 for 10 s; with ha 20 moves, 5 deaths
  --keep           after the demonstration leave it running until Ctrl-C, and say how to look around
  --json           results as one JSON object on standard output, nothing else
  --prefix NAME    of the namespaces (default: lockstep)
  --help
`

interface Options extends ShowOptions { readonly pair: boolean, readonly help: boolean }

export function parseOptions (argv: readonly string[]): Options {
  const o = { pair: false, size: (process.env['LOCKSTEP_LAB_FULL'] === '1' ? 'full' : 'normal') as SizeName, keep: false, json: false, prefix: null as string | null, help: false }
  for (let i = 0; i < argv.length; i++) {
    const [name, inline] = (argv[i] ?? '').split('=', 2)
    if (name === 'ha' && i === 0) o.pair = true
    else if (name === '--quick' || name === '--full') o.size = name === '--quick' ? 'quick' : 'full'
    else if (name === '--keep') o.keep = true
    else if (name === '--json') o.json = true
    else if (name === '--help' || name === '-h') o.help = true
    else if (name === '--prefix') o.prefix = inline ?? argv[++i] ?? ''
    else throw new LockstepError('invalid', 'LS_U_USAGE', 'unknown option of lab', { found: argv[i] ?? '', expected: 'ha, --quick, --full, --keep, --json, --prefix NAME or --help' })
  }
  return o
}

export async function labMain (argv: string[]): Promise<number> {
  const { pair, help, ...o } = parseOptions(argv)
  if (help) {
    process.stdout.write(HELP)
    return 0
  }
  return pair ? await show(pairStage, o) : await show(routerStage, o)
}

const routerStage: Stage<Lab> = {
  title: 'A lab of network namespaces',
  tools: ['curl', 'ping'],
  open: async (prefix, say) => {
    say(`  ${prefix}-client ${addresses.client.v4} -- rt-client [${prefix}-rt: Lockstep] rt-server -- ${prefix}-s1 ${addresses.s1.v4}, ${prefix}-s2 ${addresses.s2.v4}`)
    say(`  VIPs http://${addresses.vip.v4}/ and http://[${addresses.vip.v6}]/; server one has twice the weight of server two`)
    return await Lab.open({ prefix })
  },
  begin: async (lab, say) => {
    const agent = await lab.startAgent(quickstartConfig(lab.prefix, [shortTimeouts]))
    say(`  HTTP servers: ${lab.servers.http}; agent ready after ${Math.round(agent.startMs)} ms; the router's kernel does not forward\n`)
  },
  steps,
  about: (lab) => ({ http: lab.servers.http, agentReadyMs: Math.round(lab.agent.startMs) }),
  said: (lab) => lab.agent.log.trim().split('\n').filter((l) => !l.includes('"msg":"policy"')).slice(-10).join('\n'),
  keep: ({ prefix, agent }) => `The lab stays until Ctrl-C. In another shell:
  export LOCKSTEP_SOCKET=${agent.socket}
  npx lockstep sessions watch
  nsenter --net=/run/netns/${prefix}-client curl http://${addresses.vip.v4}/who
  nsenter --net=/run/netns/${prefix}-rt tcpdump -ni rt-client
  npx lockstep counters drops --rate 2s`
}
