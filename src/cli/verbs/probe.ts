/** probe: a service from outside, as its clients see it. Asks no agent. */
import type { Command } from 'commander'
import { probe, probeTarget, summary, type ProbeReport, type Quantiles } from '../service-probe.js'
import { exitCode, usageError } from '../exit-codes.js'
import { parseCount, parseDuration, printable } from '../format.js'
import { toJson } from '../../lib/json.js'
import { Progress } from '../progress.js'
import { table } from '../table.js'
import { action, offlineVerb, type Cli } from '../verb.js'

interface Options { readonly count: number, readonly interval: number, readonly timeout: number, readonly parallel: number, readonly server: string, readonly insecure?: boolean, readonly json?: boolean }

export function addProbe (parent: Command, cli: Cli): void {
  offlineVerb(parent, {
    usage: 'probe <url>',
    summary: 'Measure a service as its clients see it: times, failures, who answered',
    about: 'URL is http://, https:// or tcp://HOST:PORT; each request has a connection of its own, so a VIP weighs it anew. With Ctrl-C it tells what came until then. Exit code 0: all were answered; 1: some failed.',
    examples: ['probe http://192.0.2.80/', 'probe http://192.0.2.80/who --server body --count 1000 --interval 0ms --parallel 8', 'probe tcp://[2001:db8::80]:443 --json']
  })
    .option('--count <n>', 'requests', parseCount, 100).option('--interval <duration>', 'from the start of one to the next', parseDuration, 100).option('--timeout <duration>', 'for the whole of one', parseDuration, 5000)
    .option('--parallel <n>', 'at most so many at a time', parseCount, 4).option('--server <header>', 'response header that names the server, or `body`: the first line of the body', 'x-server')
    .option('--insecure', 'take any certificate').option('--json', 'print JSON for programs')
    .action(action(cli, async (url: string, o: Options) => {
      const target = probeTarget(url)
      if (target === null) throw usageError('not a service', url, 'http://HOST/PATH, https://HOST/PATH or tcp://HOST:PORT')
      if (o.count < 1 || o.parallel < 1 || o.parallel > 1024) throw usageError('nothing to do', `--count ${o.count} --parallel ${o.parallel}`, 'a count of at least 1, and 1 to 1024 at a time')
      const { io } = cli
      const progress = new Progress(io, 'requests')
      const answers = await probe({ target, count: o.count, intervalMs: o.interval, timeoutMs: o.timeout, parallel: o.parallel, header: o.server === 'body' ? null : o.server.toLowerCase(), verify: o.insecure !== true, signal: io.signal },
        (_, n) => { progress.show(n, o.count) })
      progress.end()
      const report = summary(answers)
      await io.out(o.json === true ? `${toJson(report, 2)}\n` : text(cli, report))
      return report.ok === report.requests && report.requests > 0 ? exitCode.ok : exitCode.failed
    }))
}

const times = ({ p50, p95, p99, max }: Quantiles): string => `p50 ${p50.toFixed(1)} ms, p95 ${p95.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, max ${max.toFixed(1)} ms`

function text ({ io }: Cli, { requests, ok, failures, ms, servers }: ProbeReport): string {
  const lines = [`${ok} of ${requests} answered${ms === null ? '' : `: ${times(ms)}`}`, ...Object.entries(failures).map(([why, n]) => `${n} failed: ${printable(why)}`)]
  const rows = table<ProbeReport['servers'][number]>([
    { title: 'SERVER', value: s => s.name === '' ? '(does not say)' : printable(s.name) }, { title: 'REQUESTS', value: s => String(s.requests), align: 'right' }, { title: 'SHARE', value: s => `${Math.round(100 * s.requests / ok)} %`, align: 'right' },
    { title: 'P50', value: s => s.ms.p50.toFixed(1), align: 'right' }, { title: 'P99', value: s => s.ms.p99.toFixed(1), align: 'right' }
  ], servers, io)
  return `${lines.join('\n')}\n${servers.length === 0 ? '' : `\n${rows}`}`
}
