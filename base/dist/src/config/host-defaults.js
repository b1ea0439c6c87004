/** Where an agent keeps its things when the file does not say: system directories as root, XDG directories otherwise. */
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
export function hostDefaults(env = process.env, uid = process.getuid?.() ?? 0) {
    const node = hostname().split('.')[0] ?? '';
    const name = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/.test(node) ? node : 'localhost';
    if (uid === 0)
        return { node: name, stateDir: '/var/lib/lockstep', socketPath: '/run/lockstep/agent.sock' };
    const absolute = (value) => value?.startsWith('/') === true ? value : null;
    const stateDir = join(absolute(env['XDG_STATE_HOME']) ?? join(homedir(), '.local/state'), 'lockstep');
    const runtime = absolute(env['XDG_RUNTIME_DIR']);
    return { node: name, stateDir, socketPath: runtime === null ? join(stateDir, 'agent.sock') : join(runtime, 'lockstep/agent.sock') };
}
//# sourceMappingURL=host-defaults.js.map