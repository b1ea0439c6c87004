// What the host must have beside Node: one table of tools, who needs them, and the Debian package of each.
import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { Refusal, cacheDir, probe, say, step, which, writeStamp } from './common.mjs'
import { join } from 'node:path'

const onPath = (name) => () => which(name) !== null
const isFile = (path) => () => existsSync(path)
const inPkgConfig = (name) => () => which('pkg-config') !== null && probe('pkg-config', ['--exists', name]).ok

/** `for`: build = nothing works without it; lab = npm start as root and lab tests; test = native tests, generator, model. */
const tools = [
  { pkg: 'g++', for: 'build', why: 'compiles the native core', has: onPath('g++') },
  { pkg: 'make', for: 'build', why: 'drives the native build', has: onPath('make') },
  { pkg: 'python3', for: 'build', why: 'node-gyp is written in it', has: onPath('python3') },
  { pkg: 'pkg-config', for: 'build', why: 'finds the libraries', has: onPath('pkg-config') },
  { pkg: 'libmnl-dev', for: 'build', why: 'netlink: links and neighbours', has: inPkgConfig('libmnl') },
  { pkg: 'nettle-dev', for: 'build', why: 'HMAC of heartbeats', has: inPkgConfig('nettle') },
  { pkg: 'iproute2', for: 'lab', why: 'network namespaces', has: onPath('ip') },
  { pkg: 'nftables', for: 'lab', why: 'takes a port from the kernel', has: onPath('nft') },
  { pkg: 'ethtool', for: 'lab', why: 'offloads of lab links', has: onPath('ethtool') },
  { pkg: 'iputils-ping', for: 'lab', why: 'ICMP traffic', has: onPath('ping') },
  { pkg: 'curl', for: 'lab', why: 'HTTP client', has: onPath('curl') },
  { pkg: 'nginx-light', for: 'lab', why: 'HTTP servers', has: onPath('nginx') },
  { pkg: 'iperf3', for: 'lab', why: 'TCP throughput', has: onPath('iperf3') },
  { pkg: 'traceroute', for: 'lab', why: 'ICMP errors', has: onPath('traceroute') },
  { pkg: 'tcpdump', for: 'lab', why: 'records packets', has: onPath('tcpdump') },
  { pkg: 'libcap2-bin', for: 'lab', why: 'runs parts with fewer privileges', has: onPath('capsh') },
  { pkg: 'openssh-client', for: 'test', why: 'SSH through the lab', has: onPath('ssh') },
  { pkg: 'openssh-server', for: 'test', why: 'the router of the lab as a host', has: isFile('/usr/sbin/sshd') },
  { pkg: 'frr', for: 'test', why: 'BGP of the router of the lab', has: isFile('/usr/lib/frr/bgpd') },
  { pkg: 'bird2', for: 'test', why: 'BGP sessions and announcements of a real BIRD', has: onPath('bird') },
  { pkg: 'gobgpd', for: 'test', why: 'the same of a real GoBGP', has: onPath('gobgpd') },
  { pkg: 'cmake', for: 'test', why: 'native tests under sanitizers', has: onPath('cmake') },
  { pkg: 'clang', for: 'test', why: 'ebpf backend, BPF check of the pipeline, generator, fuzzers', has: onPath('clang') },
  { pkg: 'bpftool', for: 'test', why: 'generator', has: onPath('bpftool') },
  { pkg: 'libbpf-dev', for: 'test', why: 'ebpf backend, peer programs of benches', has: inPkgConfig('libbpf') },
  { pkg: 'libdpdk-dev', for: 'test', why: 'dpdk backend', has: inPkgConfig('libdpdk') },
  { pkg: 'dpdk', for: 'test', why: 'dpdk backend: drivers; dpdk-testpmd, a peer of the pipeline bench', has: onPath('dpdk-testpmd') },
  { pkg: 'python3-grpcio', for: 'test', why: 'the API from Python', has: () => probe('/usr/bin/python3', ['-c', 'import grpc']).ok },
  { pkg: 'prometheus', for: 'test', why: 'scrapes an agent, reads rules', has: () => onPath('prometheus')() && onPath('promtool')() },
  { pkg: 'chromium', for: 'test', why: 'the web page in a browser', has: isFile('/usr/bin/chromium') },
  { pkg: 'zsh', for: 'test', why: 'shell completion', has: onPath('zsh') },
  { pkg: 'spin', for: 'test', why: 'model of the table protocols', has: onPath('spin') },
]
const lost = { build: 'nothing can be built', lab: 'the lab is off or reduced', test: 'some tests are skipped and say so' }

/** Missing tools of these groups. */
export const missing = (groups) => tools.filter((tool) => groups.includes(tool.for) && !tool.has())

/** Debian starts services when it installs them; a lab tool must not occupy the host's ports. */
async function withoutServices(work) {
  const guard = '/usr/sbin/policy-rc.d'
  const ours = !existsSync(guard)
  if (ours) writeFileSync(guard, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  const remove = () => ours && rmSync(guard, { force: true })
  process.once('exit', remove)
  try {
    await work()
  } finally {
    remove()
    process.off('exit', remove)
  }
}

/**
 * Make the tools of these groups present. Root on a host with apt installs what is missing; others are told the one line to run.
 * Throws Refusal only when a tool of the `build` group stays missing and `mayBuild` is not false.
 */
export async function ensureTools(groups) {
  let absent = missing(groups)
  if (absent.length === 0) return
  const line = `apt-get install -y --no-install-recommends ${absent.map((tool) => tool.pkg).join(' ')}`
  const tried = join(cacheDir, 'apt-failed')
  const failedLately = existsSync(tried) && Date.now() - statSync(tried).mtimeMs < 3600_000 && !absent.some((tool) => tool.for === 'build')
  if (process.getuid?.() === 0 && which('apt-get') !== null && !failedLately) {
    for (const tool of absent) say(`missing: ${tool.pkg} (${tool.why})`)
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    try {
      await withoutServices(async () => {
        await step('apt-get update', 'apt-get', ['update', '-qq'], { env })
        await step(line, 'apt-get', line.split(' ').slice(1), { env })
      })
    } catch (error) {
      say(error.message)
    }
    absent = missing(groups)
    if (absent.length > 0) writeStamp('.cache/apt-failed', line) // not again within the hour
  }
  if (absent.length === 0) return
  const advice = `${process.getuid?.() === 0 ? '' : 'sudo '}apt-get install -y --no-install-recommends ${absent.map((tool) => tool.pkg).join(' ')}`
  for (const group of groups) {
    const own = absent.filter((tool) => tool.for === group)
    if (own.length > 0) say(`missing, so ${lost[group]}: ${own.map((tool) => `${tool.pkg} (${tool.why})`).join(', ')}`)
  }
  if (absent.some((tool) => tool.for === 'build')) throw new Refusal(`install the missing packages, then run the same command again:\n  ${advice}`)
  say(`to have them: ${advice}`)
}
