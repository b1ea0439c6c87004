/** What section `bgp` of the configuration may say, and what it says when it says nothing. */

export const bgpDefaults = { intervalMs: 5000, timeoutMs: 2000, maxAgeMs: 30_000, frr: '/run/frr/bgpd.vty', bird: '/run/bird/bird.ctl', gobgp: '127.0.0.1:50051', bmp: '127.0.0.1:11019' } as const

/** Tables that packets are looked up in are not for announcing: 253 to 255. */
export const bgpAnnounceLimits = { tableMin: 1, tableMax: 4_294_967_295, tablesReserved: [253, 254, 255], withdrawAfterMsMax: 3_600_000, communitiesMax: 32 } as const

export const bgpLimits = { sourcesMax: 64, intervalMsMin: 200, intervalMsMax: 300_000, timeoutMsMin: 50, timeoutMsMax: 60_000, maxAgeMsMin: 1000, maxAgeMsMax: 3_600_000 } as const
