export const roles = ['viewer', 'operator', 'admin'];
export const isRole = (text) => roles.includes(text);
const methods = {
    /** Looks; changes nothing and costs the dataplane little. */
    viewer: [
        '/lockstep.v1.Agent/GetInfo', '/lockstep.v1.Agent/ListBackends',
        '/lockstep.v1.Config/GetStatus', '/lockstep.v1.Config/History', '/lockstep.v1.Config/Compare',
        '/lockstep.v1.Sessions/List', '/lockstep.v1.Sessions/Get', '/lockstep.v1.Sessions/Count', '/lockstep.v1.Sessions/Watch',
        '/lockstep.v1.Telemetry/Snapshot', '/lockstep.v1.Telemetry/FloodCounters', '/lockstep.v1.Telemetry/NatUsage', '/lockstep.v1.Telemetry/Metrics',
        '/grpc.health.v1.Health/Check', '/grpc.health.v1.Health/Watch', '/grpc.health.v1.Health/List',
        '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo'
    ],
    /** Works on what flows, reads the whole configuration, and has texts checked: a large one keeps the agent busy for seconds. */
    operator: ['/lockstep.v1.Config/GetText', '/lockstep.v1.Config/Check', '/lockstep.v1.Sessions/Delete', '/lockstep.v1.Sessions/Verify']
};
const needed = new Map(['viewer', 'operator'].flatMap((role) => methods[role].map((path) => [path, role])));
/** The least role that may call the method. */
export const roleNeeded = (path) => needed.get(path) ?? 'admin';
export const mayCall = (role, path) => roles.indexOf(role) >= roles.indexOf(roleNeeded(path));
/** The caller behind a verified certificate: its organisational units name the role (the highest counts), else its common
 * name does. `null`: no role, no call. */
export function callerOf(certificate) {
    const { CN, OU } = (certificate.subject ?? {});
    const list = (value) => (value === undefined ? [] : Array.isArray(value) ? value : [value]);
    const name = list(CN)[0];
    const units = list(OU).map((unit) => unit.toLowerCase()).filter(isRole);
    const found = units.length > 0 ? units : list(CN).filter(isRole);
    const role = [...roles].reverse().find((r) => found.includes(r));
    return role === undefined || name === undefined ? null : { name, role };
}
//# sourceMappingURL=roles.js.map