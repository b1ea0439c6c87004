/** Calls to the main thread that do something, told to its book of work: what is under way, and what came of it. */
import type { WorkBook } from '../lib/work.js'
import type { MainCalls } from './protocol.js'

export function workCalls (book: WorkBook, calls: MainCalls): MainCalls {
  const told = <A extends unknown[], R>(process: string, call: (...args: A) => R | Promise<R>, object: (...args: A) => string = () => '', keep = true) =>
    async (...args: A): Promise<R> => await book.run(process, object(...args), async () => await call(...args), keep)
  const groups = (rgs: readonly number[]): string => rgs.length === 0 ? 'all groups' : `groups ${rgs.join(', ')}`
  return {
    ...calls,
    check: told('check', calls.check), compare: told('compare', calls.compare, (from, to) => `generations ${from}, ${to}`), apply: told('apply', calls.apply, (_text, { author }) => `by ${author}`), confirm: told('confirm', calls.confirm, generation => `generation ${generation}`),
    rollback: told('rollback', calls.rollback, generation => `to generation ${generation}`), save: told('save', calls.save), switchBackend: told('switch backend', calls.switchBackend, backend => `to ${backend}`), probeAll: told('probe backends', calls.probeAll),
    clusterSwitchover: told('switchover', calls.clusterSwitchover, (rgs, to) => `${groups(rgs)} to ${to}`), clusterHold: told('hold', calls.clusterHold, groups), clusterRelease: told('release', calls.clusterRelease, groups), clusterReset: told('reset', calls.clusterReset, groups),
    clusterResync: told('take groups anew', calls.clusterResync, groups), clusterVerify: told('verify copies', calls.clusterVerify, groups), readBack: told('read back rings', calls.readBack, () => '', false), reconcile: told('put right', calls.reconcile), operateTarget: told('operate target', calls.operateTarget, (id, input) => `${input} ${id}`),
    changeOverlay: told('change overlay', calls.changeOverlay, change => `${change.kind} ${change.vip}`)
  }
}
