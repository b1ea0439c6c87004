/**
 * Who keeps the leases of this node: the keeper while its programs forward, for it outlives the agent as they do; else a thread of this process, which ends
 * with the packet workers whose leases it keeps.
 */
import type { BackendName } from '../contract/dataplane.js'
import type { NativeCore, NativeHeart, NativeTable } from '../native/binding.js'
import { native } from '../native/errors.js'

export class HeartPlace {
  private own: NativeHeart | null = null

  /** `folder`: the pins of programs and their keeper; `null`: there can be none. */
  constructor (private readonly core: NativeCore, private readonly table: NativeTable, private readonly ownName: string, private readonly folder: string | null) {}

  /** Abstract socket of whoever keeps leases while this backend forwards. */
  of (backend: BackendName): string {
    if (backend === 'ebpf' && this.folder !== null) {
      this.close()
      return this.folder
    }
    this.own ??= native(() => new this.core.Heart(this.table, this.ownName), { object: 'heartbeats' })
    return this.ownName
  }

  close (): void {
    this.own?.close()
    this.own = null
  }
}
