/** The whole surface of the ebpf addon, in the addon's order (native/addon/ebpf.cc). All fields present. */

export interface NativeEbpfPort {
  /** Of the pin; a port of the configuration. */
  readonly name: string
  readonly interface: string
  /** Path of the namespace; empty = this process's. */
  readonly netns: string
  /** Id in the configuration bank. */
  readonly device: number
  /** Fall back to generic mode where the driver cannot. */
  readonly generic: boolean
}

export interface NativeEbpfPortFound {
  readonly ifindex: number
  /** Driver, generic. */
  readonly mode: 0 | 1
  /** What turns around on the port goes by redirect. */
  readonly redirect: boolean
  readonly mtu: number
  /** Flows that the host opens by it are recorded. */
  readonly recorded: boolean
  readonly mac: string
}

export interface NativeEbpf {
  /** `existed`: the table was pinned already; `links`: programs of it that forward; `regions`: a descriptor for each region of the table. */
  info: () => { readonly existed: boolean, readonly links: ReadonlyArray<{ readonly name: string, readonly device: number }>, readonly regions: readonly number[] }
  /** Frames can leave by the port, and are known if they come in. */
  ways: (port: NativeEbpfPort) => NativeEbpfPortFound
  /** The program runs on the port from here on; a pinned link is taken over without a gap. */
  attach: (port: NativeEbpfPort) => NativeEbpfPortFound
  /** False: there was none. */
  detach: (name: string) => boolean
  /** Links of ports that are not named here go; how many. */
  detachOthers: (names: readonly string[]) => number
  /** The program over the maps; about a second of the verifier's time. */
  load: () => void
  /** What the verifier said at the last load. */
  log: () => string
  /** Pins everything: from here on it outlives the process. */
  publish: () => void
  /** The role of the freer of a published table, for this process. Throws LS_E_BUSY. */
  freer: (waitMs: number) => void
  /** Links, pins and folder go; the maps stay for the table that lies over them. */
  unpublish: () => void
  /** Forwarding goes on. */
  close: () => void
}

export interface NativeEbpfAddon {
  readonly layoutVersion: number
  readonly Ebpf: new (folder: string, header: Uint8Array) => NativeEbpf
  /** Descriptor of a connection to the keeper of a folder; -1: none runs. */
  readonly keeper: (folder: string) => number
  /** Whatever is pinned in the folder, by any version, goes. False: nothing was. Throws LS_E_BUSY. */
  readonly remove: (folder: string) => boolean
  /** What the kernel has, each tried; changes nothing. What is not `needed` only adds to what the backend can do. */
  readonly probe: () => ReadonlyArray<{ readonly name: string, readonly ok: boolean, readonly needed: boolean, readonly reason: string }>
}
