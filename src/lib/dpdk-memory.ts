/** Memory of the process that runs DPDK, by its settings. Pure. */

interface Buffers { readonly buffers: number, readonly frameBytes: number, readonly memoryMib: number }

/** Bytes: what buffers take, with what lies beside each, and room for drivers. */
export const dpdkBytes = ({ buffers, frameBytes, memoryMib }: Buffers): number => Math.max(memoryMib * 2 ** 20, buffers * (frameBytes + 512) * 1.25)
