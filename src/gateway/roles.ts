/**
 * Who may call what over TCP. A role includes the ones before it; every method is in one list, and one that is in none is for admin, so what is new is
 * closed until somebody decides. The unix socket itself has no roles: its group does.
 */
import type { PeerCertificate } from 'node:tls'

export const roles = ['viewer', 'operator', 'admin'] as const
export type Role = (typeof roles)[number]

export const isRole = (text: string): text is Role => (roles as readonly string[]).includes(text)

export const methods: Readonly<Record<Role, readonly string[]>> = {
  /** Looks; changes nothing and costs the dataplane little. */
  viewer: [
    '/lockstep.v1.Agent/GetInfo', '/lockstep.v1.Agent/ListBackends',
    '/lockstep.v1.Cluster/GetStatus', '/lockstep.v1.Cluster/Watch',
    '/lockstep.v1.Config/GetStatus', '/lockstep.v1.Config/History', '/lockstep.v1.Config/Compare', '/lockstep.v1.Config/Check',
    '/lockstep.v1.Events/Watch', '/lockstep.v1.Links/List', '/lockstep.v1.Objects/Watch',
    '/lockstep.v1.LoadBalancer/ListVips', '/lockstep.v1.LoadBalancer/ListTargets', '/lockstep.v1.LoadBalancer/GetOverlay', '/lockstep.v1.LoadBalancer/ReadBack', '/lockstep.v1.LoadBalancer/Watch',
    '/lockstep.v1.Sessions/List', '/lockstep.v1.Sessions/Get', '/lockstep.v1.Sessions/Count', '/lockstep.v1.Sessions/Watch',
    '/lockstep.v1.Telemetry/Snapshot', '/lockstep.v1.Telemetry/FloodCounters', '/lockstep.v1.Telemetry/NatUsage', '/lockstep.v1.Telemetry/Metrics',
    '/grpc.health.v1.Health/Check', '/grpc.health.v1.Health/Watch', '/grpc.health.v1.Health/List',
    '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo'
  ],
  /** Works on what flows, and reads the whole configuration. */
  operator: ['/lockstep.v1.Cluster/Verify', '/lockstep.v1.Config/GetText', '/lockstep.v1.LoadBalancer/AdjustReal', '/lockstep.v1.LoadBalancer/DeleteReals', '/lockstep.v1.LoadBalancer/DeleteVip', '/lockstep.v1.LoadBalancer/OperateTarget',
    '/lockstep.v1.LoadBalancer/PutReals', '/lockstep.v1.LoadBalancer/PutVip', '/lockstep.v1.LoadBalancer/Reconcile', '/lockstep.v1.LoadBalancer/RestoreReal', '/lockstep.v1.Sessions/Delete', '/lockstep.v1.Sessions/Verify'],
  /** Says what the node is and who owns what; channelz tells of other callers. */
  admin: ['/lockstep.v1.Agent/SwitchBackend', '/lockstep.v1.Cluster/Hold', '/lockstep.v1.Cluster/Release', '/lockstep.v1.Cluster/Reset', '/lockstep.v1.Cluster/Switchover', '/lockstep.v1.Config/Apply', '/lockstep.v1.Config/Confirm', '/lockstep.v1.Config/Rollback', '/lockstep.v1.Config/Save']
}

const needed: ReadonlyMap<string, Role> = new Map(
  roles.flatMap((role) => methods[role].map((path) => [path, role] as const)))

/** The least role that may call the method. */
export const roleNeeded = (path: string): Role => needed.get(path) ?? 'admin'

export const mayCall = (role: Role, path: string): boolean => roles.indexOf(role) >= roles.indexOf(roleNeeded(path))

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
