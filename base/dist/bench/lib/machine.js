/** What a figure was measured on: without it a figure means nothing. */
import { cpus, loadavg, release, totalmem } from 'node:os';
export function describeMachine() {
    const model = cpus()[0]?.model.trim() ?? 'unknown processor';
    return `${model}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release().split('-')[0]}, Node ${process.version}`;
}
/** Runnable tasks of the last minute: what else the machine did. */
export const load = () => Math.round((loadavg()[0] ?? 0) * 100) / 100;
//# sourceMappingURL=machine.js.map