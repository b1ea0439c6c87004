/** Whose names a page of metrics may have, beside ours. */
export const pageNames = ['maglev', 'doublezero'] as const
export type PageNames = typeof pageNames[number]
