/** Samples of a bench program, its medians, and what a suite makes of them. */

export interface Samples {
  readonly values: ReadonlyMap<string, readonly number[]>
  readonly notes: Readonly<Record<string, string>>
}

export interface SuiteResult {
  readonly suite: string
  /** Names as in the documentation; units at the end of the name. */
  readonly figures: Readonly<Record<string, number>>
  readonly notes: Readonly<Record<string, string>>
  /** Quartiles of what was sampled, so that a reader sees the noise. */
  readonly spread: Readonly<Record<string, Spread>>
}

export interface Spread { readonly n: number, readonly q1: number, readonly median: number, readonly q3: number }

/** Lines `{"sample":name,"value":number}` and `{"note":name,"text":string}`; anything else is an error of the program. */
export function parseSamples (text: string): Samples {
  const values = new Map<string, number[]>()
  const notes: Record<string, string> = {}
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue
    const row = JSON.parse(line) as { sample?: unknown, value?: unknown, note?: unknown, text?: unknown }
    if (typeof row.sample === 'string' && typeof row.value === 'number') {
      const list = values.get(row.sample) ?? []
      list.push(row.value)
      values.set(row.sample, list)
    } else if (typeof row.note === 'string' && typeof row.text === 'string') notes[row.note] = row.text
    else throw new Error(`not a sample: ${line}`)
  }
  return { values, notes }
}

export const noSamples: Samples = { values: new Map(), notes: {} }

/** The same under other names: of a second run. */
export function prefixed (prefix: string, { values, notes }: Samples): Samples {
  return { values: new Map([...values].map(([name, list]) => [prefix + name, list])), notes: Object.fromEntries(Object.entries(notes).map(([name, text]) => [prefix + name, text])) }
}

export function merge (parts: readonly Samples[]): Samples {
  const values = new Map<string, number[]>()
  const notes: Record<string, string> = {}
  for (const part of parts) {
    for (const [name, list] of part.values) values.set(name, [...(values.get(name) ?? []), ...list])
    Object.assign(notes, part.notes)
  }
  return { values, notes }
}

/** The value below which the share `p` of the values lies, interpolated; NaN for none. */
export function quantile (values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (sorted.length - 1) * p
  const low = sorted[Math.floor(at)] ?? NaN
  const high = sorted[Math.ceil(at)] ?? NaN
  return low + (high - low) * (at - Math.floor(at))
}

export const median = (values: readonly number[]): number => quantile(values, 0.5)

/** `null` for none. Of what is counted, not timed: there nothing has to be kept out. */
export const mean = (values: readonly number[]): number | null => (values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length)

/** Median of one sample; null when it was not taken (its peer was skipped). */
export function medianOf ({ values }: Samples, name: string): number | null {
  const list = values.get(name)
  return list === undefined || list.length === 0 ? null : median(list)
}

export function spreadOf ({ values }: Samples): Record<string, Spread> {
  const spread: Record<string, Spread> = {}
  for (const [name, list] of values) {
    if (list.length > 1) spread[name] = { n: list.length, q1: significant(quantile(list, 0.25)), median: significant(median(list)), q3: significant(quantile(list, 0.75)) }
  }
  return spread
}

/** Four significant digits: more would be noise. */
const significant = (value: number): number => (Number.isInteger(value) && Math.abs(value) < 1e15 ? value : Number(value.toPrecision(4)))

/** Drops what could not be measured. */
export function figuresOf (figures: Readonly<Record<string, number | null>>): Record<string, number> {
  return Object.fromEntries(Object.entries(figures).flatMap(([name, value]) => (value === null || Number.isNaN(value) ? [] : [[name, significant(value)]])))
}

export const ratio = (peer: number | null, ours: number | null): number | null => (peer === null || ours === null || ours === 0 ? null : peer / ours)

/** Median of the ratios of samples that were taken one right after the other: the machine drifts from repeat to repeat, hardly within one. */
export function pairedRatio (samples: Samples, ours: string, peer: string): number | null {
  const [a, b] = [samples.values.get(ours) ?? [], samples.values.get(peer) ?? []]
  const ratios = a.slice(0, b.length).map((value, i) => value / (b[i] ?? NaN)).filter(Number.isFinite)
  return ratios.length === 0 ? null : median(ratios)
}
