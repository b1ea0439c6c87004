/** track_interface and track_script -> monitors. */
import { clusterLimits as max } from '../../contract/cluster-limits.js'
import type { RawMonitor } from '../raw.js'
import { noteOn, Section, type Directive } from './blocks.js'
import { commandOf } from './commands.js'
import { cleanName } from './names.js'
import { reasonsOf, type Notes } from './notes.js'
import { boundedDuration, msOf } from './values.js'

/** A monitor; `interface` is the device, which has its name of ours later. */
export type Watched = RawMonitor

export interface Script { readonly at: Directive, readonly monitor: Omit<RawMonitor, 'weight'> | null, readonly weight: Weight }

/** The scripts of a file, and which of them something tracks. */
export class Scripts {
  private readonly tracked = new Set<string>()

  constructor (private readonly scripts: ReadonlyMap<string, Script>) {}

  get (name: string): Script | undefined {
    this.tracked.add(name)
    return this.scripts.get(name)
  }

  unused (notes: Notes): void {
    for (const [name, { at }] of this.scripts) if (!this.tracked.has(name)) noteOn(notes, at, 'nothing tracks it: a script runs as a monitor of a redundancy group')
  }
}

interface Weight { readonly value: number, readonly reverse: boolean }

const reasons = reasonsOf([
  ['rise fall', 'monitors count at once; cluster.monitor worse-after and better-after are their damping, for all of them'],
  ['user', 'programs run as nobody'],
  ['init_fail', 'a script counts from its first run on'],
])

export function scriptsOf (notes: Notes, top: Section): Scripts {
  return new Scripts(new Map(top.all('vrrp_script', 'vrrp_track_script').map(d => [d.words[1] ?? '', scriptOf(notes, d)])))
}

function scriptOf (notes: Notes, d: Directive): Script {
  const section = Section.of(notes, d)
  const path = section.last('script')
  const script = path === null ? null : commandOf(notes, path, path.words.slice(1).join(' '))
  const [intervalAt, timeoutAt] = [section.last('interval'), section.last('timeout')]
  const intervalMs = msOf(notes, intervalAt) ?? 1000
  const timeoutMs = Math.min(msOf(notes, timeoutAt) ?? intervalMs, intervalMs)
  if (timeoutAt !== null && timeoutMs !== msOf(notes, timeoutAt)) noteOn(notes, timeoutAt, 'a timeout is at most the interval, which is taken')
  const weight = section.last('weight')
  section.rest(reasons)
  if (script === null) noteOn(notes, d, 'no script that can be run; what tracks it is left out')
  const duration = (at: Directive | null, what: string, ms: number): string => boundedDuration(notes, at ?? d, what, ms, max.scriptMsMin, max.scriptMsMax)
  return {
    at: d,
    monitor: script === null ? null : { script, interval: duration(intervalAt, 'an interval', intervalMs), timeout: duration(timeoutAt, 'a timeout', timeoutMs), name: cleanName(d.words[1] ?? '') },
    weight: weight === null ? { value: 0, reverse: false } : weightOf(notes, weight, weight.words.slice(1)),
  }
}

/** What an instance or a sync group tracks. */
export function tracked (section: Section, scripts: Scripts): Watched[] {
  const { notes } = section
  const entries = (key: string): readonly Directive[] => section.all(key).flatMap(d => d.block ?? []).flatMap(one)
  return [
    ...entries('track_interface').flatMap(entry => watch(notes, entry, { interface: entry.words[0] ?? '' }, { value: 0, reverse: false })),
    ...entries('track_script').flatMap(entry => {
      const script = scripts.get(entry.words[0] ?? '')
      if (script?.monitor == null) noteOn(notes, entry, script === undefined ? 'no such vrrp_script; left out' : 'its vrrp_script is not carried; left out')
      return script?.monitor == null ? [] : watch(notes, entry, script.monitor, script.weight)
    }),
  ]
}

/** Each name with what belongs to it, when several stand on one line. */
function one (d: Directive): Directive[] {
  const starts = d.words.flatMap((word, i) => i === 0 || (!options.has(word) && d.words[i - 1] !== 'weight') ? [i] : [])
  return starts.map((from, i) => ({ ...d, words: d.words.slice(from, starts[i + 1]) }))
}
const options = new Set(['weight', 'reverse', 'noreverse', 'no_reverse'])

/** No weight: the instance is in fault while it is down, as a node without any priority left does not own. */
function watch (notes: Notes, entry: Directive, what: Omit<RawMonitor, 'weight'>, usual: Weight): Watched[] {
  const at = entry.words.indexOf('weight')
  const { value, reverse } = at === -1 ? usual : weightOf(notes, entry, entry.words.slice(at + 1))
  if (reverse || (entry.words.includes('reverse') && at === -1)) {
    noteOn(notes, entry, 'a monitor takes priority off when it is down, never when it is up; left out')
    return []
  }
  if (value > 0) noteOn(notes, entry, `weight ${value} adds to the priority when it is well; here ${value} is taken off when it is not: the same between two nodes that both have it`)
  return [{ ...what, weight: value === 0 ? 255 : Math.min(Math.abs(value), max.weightMax) }]
}

function weightOf (notes: Notes, at: Directive, words: readonly string[]): Weight {
  const [text = '', word] = words
  if (!/^[+-]?\d{1,4}$/.test(text)) noteOn(notes, at, 'not a weight; 255 is taken: down means that this node does not own')
  return { value: /^[+-]?\d{1,4}$/.test(text) ? Number(text) : 0, reverse: word === 'reverse' }
}
