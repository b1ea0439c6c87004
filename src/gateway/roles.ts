/** Who calls over TCP, and what they may (contract/access.ts). The unix socket itself has no roles: its group does. */
import type { PeerCertificate } from 'node:tls'
import { atLeast, isRole, methods, roles, type Role } from '../contract/access.js'

export { isRole, roles, type Role }

const needed: ReadonlyMap<string, Role> = new Map(
  roles.flatMap((role) => methods[role].map((path) => [path, role] as const)))

/** The least role that may call the method. */
export const roleNeeded = (path: string): Role => needed.get(path) ?? 'admin'

export const mayCall = (role: Role, path: string): boolean => atLeast(role, roleNeeded(path))

export interface Caller {
  /** Common name of the certificate; `null` on plain loopback. */
  readonly name: string | null
  readonly role: Role
}

/** The caller behind a verified certificate: its organisational units name the role (the highest counts), else its common
 * name does. `null`: no role, no call. */
export function callerOf (certificate: PeerCertificate): Caller | null {
  const { CN, OU } = (certificate.subject ?? {}) as { CN?: string | string[], OU?: string | string[] }
  const list = (value: string | string[] | undefined): string[] => (value === undefined ? [] : Array.isArray(value) ? value : [value])
  const name = list(CN)[0]
  const units = list(OU).map((unit) => unit.toLowerCase()).filter(isRole)
  const found = units.length > 0 ? units : list(CN).filter(isRole)
  const role = [...roles].reverse().find((r) => found.includes(r))
  return role === undefined || name === undefined ? null : { name, role }
}
