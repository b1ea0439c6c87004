/** The userspace backend for the suite: no privileges, every native effect written to the journal. */
import { UserspaceDataPlane } from '../../src/backend/userspace/index.js';
import { compile, ringInputs } from '../../src/config/index.js';
import { loadCore } from '../../src/native/load.js';
import { scratch } from './rig.js';
export async function makeUserspace(options = {}) {
    const core = loadCore();
    const capacity = options.capacity ?? 4096;
    const { directory, remove } = scratch();
    const table = new core.Table({ capacity, cpus: 0, threads: 2, arena: 16384, hugepages: 0, path: '' });
    const journal = [];
    let closed = false;
    function spy(object, method, effect) {
        const call = object[method].bind(object);
        Object.defineProperty(object, method, {
            value: (...args) => {
                rig.before?.(effect);
                journal.push(effect);
                return call(...args);
            }
        });
    }
    const spied = {
        ...core,
        Userspace: new Proxy(core.Userspace, {
            construct: (target, [t, workers]) => {
                const native = new target(t, workers);
                spy(native, 'addPort', 'open port');
                spy(native, 'enablePort', 'enable port');
                spy(native, 'removePort', 'close port');
                spy(native, 'setRoutes', 'routes');
                spy(native, 'setNeighbours', 'neighbours');
                return native;
            }
        })
    };
    spy(table, 'writeConfig', 'flip');
    spy(table, 'reevaluate', 'sessions looked up again');
    const dataplane = new UserspaceDataPlane({
        core: spied, table, workers: 2, instance: 'conformance', netns: null,
        compiler: { rings: (d) => ringInputs(d), compile: (d, ports, rings, generation) => compile(d, { ports }, d.ids, rings, new Date(), generation) }
    });
    const rig = {
        dataplane, directory, journal, before: null, capacity,
        listen: (on) => { table.feed(on); },
        close: async () => {
            if (closed)
                return;
            closed = true;
            await dataplane.close();
            table.close();
            remove();
        }
    };
    return await Promise.resolve(rig);
}
//# sourceMappingURL=userspace-rig.js.map