/** What an apply is to the whole agent: the dataplane's part, the backend that the configuration names, and what cannot change while the agent runs. */
import type { TableDataPlane } from '../backend/table/index.js'
import { clusterRestarts } from '../config/index.js'
import type { ApplyResult, BackendName, ConfigSink } from '../contract/dataplane.js'
import type { Desired } from '../contract/desired.js'
import { LockstepError } from '../contract/errors.js'
import type { Tracer } from '../telemetry/tracer.js'

/** The dataplane's sink, and what an apply cannot change while the agent runs: refused when the next start would fail, else a warning. */
export function sinkOf (dataplane: TableDataPlane, tracer: Tracer, backend: (configured: string) => BackendName, started: Desired, { starting, onBackend }: { readonly starting: () => boolean, readonly onBackend: () => void }): ConfigSink {
  const settings: ReadonlyArray<readonly [string, (a: Desired['agent']) => unknown]> = [
    ['agent.table.capacity', a => a.table.capacity], ['agent.table.hugepages', a => a.table.hugepages], ['agent.workers', a => a.workers], ['agent.nat-history', a => a.natHistory], ['agent.dpdk', a => JSON.stringify(a.dpdk)], ['agent.socket', a => a.socketPath], ['agent.state-dir', a => a.stateDir],
    ['agent.instance', a => a.instance], ['agent.node', a => a.node]
  ]
  return {
    apply: async (desired, generation, signal) => await tracer.run('dataplane.apply', { generation }, async (span) => {
      if (!starting() && (started.cluster === null) !== (desired.cluster === null)) {
        throw new LockstepError('stale', 'LS_B_RESTART', '`cluster` comes and goes only with a restart', { object: 'cluster', found: desired.cluster === null ? 'none' : 'one', expected: desired.cluster === null ? 'one' : 'none', next: 'stop the agent, edit its startup file, and start it; of a pair one node after the other' })
      }
      const target = backend(desired.agent.backend)
      const result = await (async () => {
        try {
          // userspace has every kind of port: it comes first and goes last
          // likewise dpdk for those that only it has
          const first = target === 'userspace' ? dataplane.name !== 'dpdk' : desired.ports.some(({ kind }) => kind === 'dpdk')
          if (first) await dataplane.switchTo(target, signal)
          const applied = await (starting() ? dataplane.resume(desired, generation, signal) : dataplane.config.apply(desired, generation, signal))
          tracePhases(tracer, applied.durations)
          if (!first) await dataplane.switchTo(target, signal)
          return applied
        } finally {
          onBackend()
        }
      })()
      const later = [
        ...settings.filter(([, of]) => of(desired.agent) !== of(started.agent)).map(([name, of]) => `${name}: ${String(of(desired.agent))} holds from the next start; ${String(of(started.agent))} until then`),
        ...clusterRestarts(started, desired).map(name => `${name}: holds from the next start`)
      ]
      span.set({ warnings: result.warnings.length })
      return { ...result, warnings: [...result.warnings, ...later] }
    }),
    lastApplyResult: () => dataplane.config.lastApplyResult()
  }
}

/** One after the other, and then what follows the flip: routes, ports, sessions looked up again. */
function tracePhases (tracer: Tracer, { portsMs, compileMs, flipMs, totalMs }: ApplyResult['durations']): void {
  const phases = [['ports', portsMs], ['compile', compileMs], ['flip', flipMs], ['settle', totalMs - portsMs - compileMs - flipMs]] as const
  let left = totalMs
  for (const [name, tookMs] of phases) {
    left -= tookMs
    tracer.past(`dataplane.${name}`, tookMs, {}, left)
  }
}
