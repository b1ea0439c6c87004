/** Health checks that are found on the way: equal ones are one, under the first name. */
import type { RawHealthCheck } from '../raw.js'
import { Names } from './names.js'

export class CheckBook {
  readonly checks: Record<string, RawHealthCheck> = {}
  private readonly names = new Names(['none'])
  private readonly known = new Map<string, string>()

  /** The name under which `check` stands. */
  name (check: RawHealthCheck): string {
    const key = JSON.stringify(check)
    const known = this.known.get(key)
    if (known !== undefined) return known
    const name = this.names.make(wanted(check))
    this.known.set(key, name)
    this.checks[name] = check
    return name
  }
}

function wanted (check: RawHealthCheck): string {
  const program = check.exec?.[0] === '/bin/sh' ? undefined : check.exec?.[0]?.split('/').at(-1)
  if (check.type === 'exec') return program ?? 'exec'
  return check.type === 'http' && check.tls !== undefined ? 'https' : check.type
}
