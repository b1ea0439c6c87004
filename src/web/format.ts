/** Numbers and times as people read them. Pure. */

const thin = new Intl.NumberFormat('en', { useGrouping: true })
/** `12 345`, with narrow blanks. */
export const count = (n: number | undefined): string => n === undefined ? '–' : thin.format(n).replaceAll(',', '\u202f')

/** `1.2 k`, for rates. */
export function short (n: number | undefined, unit = ''): string {
  if (n === undefined || !Number.isFinite(n)) return '–'
  const [value, prefix] = n >= 1e9 ? [n / 1e9, 'G'] : n >= 1e6 ? [n / 1e6, 'M'] : n >= 1e3 ? [n / 1e3, 'k'] : [n, '']
  const text = value >= 100 || (prefix === '' && Number.isInteger(value)) ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(value === 0 ? 0 : 2)
  const what = `${prefix}${unit}`
  return what === '' ? text : `${text}\u00a0${what}`
}

export function age (ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000))
  if (s < 60) return `${s} s`
  if (s < 3600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, '0')} s`
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${String(Math.floor(s % 3600 / 60)).padStart(2, '0')} min`
  return `${Math.floor(s / 86_400)} d ${Math.floor(s % 86_400 / 3600)} h`
}

const two = (n: number, digits = 2): string => String(n).padStart(digits, '0')
export function clock (ms: number): string {
  const d = new Date(ms)
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}.${two(d.getMilliseconds(), 3)}`
}
export function dateTime (ms: number): string {
  const d = new Date(ms)
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`
}

const protocols: Readonly<Record<number, string>> = { 0: 'any', 1: 'icmp', 6: 'tcp', 17: 'udp', 47: 'gre', 50: 'esp', 58: 'icmp6', 132: 'sctp' }
export const protocol = (n: number): string => protocols[n] ?? String(n)

/** `192.0.2.80:80`, `[2001:db8::1]:53`, `192.0.2.0/24 port 80`; without a port the address alone. A prefix of one address is written as that. */
export function endpoint (prefix: string, port: number): string {
  const address = prefix.includes(':') ? prefix.replace(/\/128$/, '') : prefix.replace(/\/32$/, '')
  if (port === 0) return address
  if (address.includes('/')) return `${address} port ${port}`
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

export const fieldsText = (fields: Readonly<Record<string, unknown>>): string => Object.entries(fields).map(([name, value]) => `${name}=${typeof value === 'string' ? (/^[\w./:-]+$/.test(value) ? value : JSON.stringify(value)) : JSON.stringify(value)}`).join(' ')
