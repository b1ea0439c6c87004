/** How long to wait before the next try, alike everywhere. */

export interface Waits { readonly leastMs: number, readonly mostMs: number }

/** Doubles with each failure, half of it by chance, so that those who lost one server do not come back together. @param failures before this one @param random 0 to 1 */
export const backOff = ({ leastMs, mostMs }: Waits, failures: number, random: number): number => Math.min(mostMs, leastMs * 2 ** Math.min(failures, 30)) * (0.5 + random / 2)
