/** Ring inputs as packed struct ls_maglev_real. Pure. */
import { layout } from '../generated/layout.js';
import { addressBytes } from '../lib/address.js';
const BYTES = layout.ls_addr.size + 8;
export function packReals(reals) {
    const out = new Uint8Array(reals.length * BYTES);
    const view = new DataView(out.buffer);
    reals.forEach((real, i) => {
        const base = i * BYTES;
        out.set(addressBytes(real.address), base);
        view.setUint16(base + 16, real.port, false);
        view.setUint16(base + 18, real.id, true);
        view.setUint32(base + 20, real.weight, true);
    });
    return out;
}
//# sourceMappingURL=maglev.js.map