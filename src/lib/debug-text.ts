/** Cells of debug tables as people read them; the same words on pages and in a terminal. */

/** `type` and `cell` as in contract/debug.ts. */
export function cellText (type: string, cell: string | number | ReadonlyArray<{ readonly key: string }> | null): string {
  if (cell === null) return ''
  if (typeof cell === 'string') return cell
  if (typeof cell !== 'number') return cell.map(({ key }) => key).join(', ')
  switch (type) {
    case 'id': return String(cell)
    case 'bytes': return sizeText(cell)
    case 'duration': return spanText(cell)
    case 'time': return timeText(cell)
    default: return numberText(cell)
  }
}

/** Thousands apart, at most three decimals. */
export function numberText (value: number): string {
  if (!Number.isFinite(value)) return String(value)
  const [whole = '', part] = String(Math.round(value * 1000) / 1000).split('.')
  return whole.replaceAll(/(?<=\d)(?=(\d{3})+$)/g, '\u202f') + (part === undefined ? '' : `.${part}`)
}

/** 1536 -> `1.5 KiB`. */
export function sizeText (value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let unit = 0
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 || Math.abs(value) >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit] ?? ''}`
}

/** 0.4 -> `0.4 ms`, 1500 -> `1.5 s`, 3 700 000 -> `1 h 01 min`. What is to come is told with a minus: `-2.0 s` was due. */
export function spanText (ms: number): string {
  if (ms < 0) return `-${spanText(-ms)}`
  if (ms < 1000) return `${ms < 10 ? Math.round(ms * 100) / 100 : Math.round(ms)} ms`
  const s = ms / 1000
  if (s < 60) return `${s.toFixed(1)} s`
  const two = (n: number): string => String(Math.floor(n)).padStart(2, '0')
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)}`
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${two((s % 3600) / 60)}`
  return `${Math.floor(s / 86_400)} d ${two((s % 86_400) / 3600)} h`
}

/** `2026-11-22 23:40:05.120Z`: UTC, as hosts of a pair are compared. */
export function timeText (unixMs: number): string {
  const date = new Date(unixMs)
  return Number.isNaN(date.getTime()) ? String(unixMs) : date.toISOString().replace('T', ' ')
}
