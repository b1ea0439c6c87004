/** Main thread's end of the sync worker: fans changes out to subscribers and policy logs to the log. */
import { Worker } from 'node:worker_threads';
import { LockstepError } from '../contract/errors.js';
import { changesOf } from '../native/records.js';
export function startFeed({ tableId, timeouts, onLogs, onClosed, onProblem }) {
    const underWay = new SharedArrayBuffer(4);
    const waiting = new Int32Array(underWay);
    const worker = new Worker(new URL('./sync.js', import.meta.url), { workerData: { tableId, underWay } });
    const subscribers = new Set();
    let closing = false;
    const exited = new Promise(resolve => {
        worker.once('exit', (code) => {
            if (!closing)
                onProblem(new LockstepError('bug', 'LS_E_BUG', 'the sync worker ended', { object: 'sync worker', found: `exit code ${code}`, next: 'restart the agent: session changes and policy logs are no longer read' }));
            resolve();
        });
    });
    const tell = (message) => { worker.postMessage(message); };
    /** What one reader does wrong is told, and the others go on. */
    const guarded = (run) => {
        try {
            run();
        }
        catch (error) {
            onProblem(error);
        }
    };
    worker.on('message', (message) => {
        if (message.kind === 'stopped')
            return;
        Atomics.sub(waiting, 0, 1);
        if (message.kind === 'changes')
            for (const run of [...subscribers])
                guarded(() => { run(message.records, message.lost); });
        else if (message.kind === 'logs')
            guarded(() => { onLogs(message.rows); });
        else
            guarded(() => { onClosed(changesOf(message.records, timeouts), message.lost); });
    });
    worker.on('error', onProblem);
    return {
        subscribe: (onBatch) => {
            subscribers.add(onBatch);
            if (subscribers.size === 1)
                tell({ kind: 'listen', on: true });
            return () => {
                if (subscribers.delete(onBatch) && subscribers.size === 0)
                    tell({ kind: 'listen', on: false });
            };
        },
        decode: (records) => changesOf(records, timeouts),
        close: async () => {
            closing = true;
            tell({ kind: 'stop' }); // to a worker that is gone: nothing happens
            await exited;
        }
    };
}
//# sourceMappingURL=feed.js.map