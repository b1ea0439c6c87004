/** Every method of the protocol: who may call it over TCP, and whether it may change something. One that is in no list is for admin, and may. */

export const roles = ['viewer', 'operator', 'admin'] as const
export type Role = (typeof roles)[number]

export const isRole = (text: string): text is Role => (roles as readonly string[]).includes(text)
export const atLeast = (role: Role, least: Role): boolean => roles.indexOf(role) >= roles.indexOf(least)

/** Who called for what (area `audit` of the journal) is for these, as other reads that tell of other callers. */
export const mayReadAudit = (role: Role): boolean => atLeast(role, 'operator')

const OWN = '/lockstep.v1.'
const own = (service: string, ...names: string[]): string[] => names.map(name => `${OWN}${service}/${name}`)

/** Of operators, these read as well: the whole configuration, what costs the dataplane something, and what tells of other callers. */
const costly = [...own('Agent', 'Doctor'), ...own('Cluster', 'ListDifferences', 'Verify'), ...own('Config', 'GetText'), ...own('Debug', 'GetGuardedTable'), ...own('Operations', 'List', 'Get', 'Watch'), ...own('Sessions', 'Verify'), ...own('Telemetry', 'NatWho')]

export const methods: Readonly<Record<Role, readonly string[]>> = {
  /** Looks; changes nothing and costs the dataplane little. */
  viewer: [
    ...own('Agent', 'GetInfo', 'ListAlarms', 'ListBackends'), ...own('Bgp', 'ListNeighbours', 'ListPending', 'ListRoutes', 'ListSinks', 'ListSources'), ...own('Cluster', 'GetStatus', 'Watch'), ...own('Config', 'GetStatus', 'History', 'Compare', 'Check'), ...own('Debug', 'ListTables', 'GetTable'), ...own('Events', 'Watch'), ...own('Links', 'List'),
    ...own('LoadBalancer', 'ListVips', 'ListTargets', 'GetOverlay', 'ReadBack', 'Watch'), ...own('Objects', 'Watch'), ...own('Sessions', 'Count', 'Export', 'Get', 'List', 'Top', 'Watch'), ...own('Telemetry', 'Snapshot', 'FloodCounters', 'NatUsage', 'Metrics'),
    '/grpc.health.v1.Health/Check', '/grpc.health.v1.Health/Watch', '/grpc.health.v1.Health/List',
    '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo'
  ],
  /** Works on what flows, and reads the whole configuration. */
  operator: [...costly, ...own('Cluster', 'Resync'), ...own('Operations', 'Cancel'), ...own('LoadBalancer', 'AdjustReal', 'DeleteReals', 'DeleteVip', 'OperateTarget', 'PutReals', 'PutVip', 'Reconcile', 'RestoreReal'), ...own('Sessions', 'Delete')],
  /** Says what the node is and who owns what; channelz tells of other callers. */
  admin: [...own('Agent', 'SwitchBackend'), ...own('Cluster', 'Hold', 'Release', 'Reset', 'Switchover'), ...own('Config', 'Apply', 'Confirm', 'Rollback', 'Save'), ...own('Sessions', 'Install', 'Reconcile')]
}

const reads: ReadonlySet<string> = new Set([...methods.viewer, ...costly])

/** Of this package's own: no other changes anything. */
export const mayChange = (path: string): boolean => path.startsWith(OWN) && !reads.has(path)
