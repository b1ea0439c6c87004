/** A node of which only the replication is simulated: a real table and a real sync engine, roles by hand. */
import { limits } from '../../src/generated/layout.js'
import { SyncEngine, type Connection } from '../../src/ha/sync/engine.js'
import type { SyncEventName } from '../../src/ha/sync/protocol.js'
import { capacity, Dataplane, type DataplaneOptions } from './dataplane.js'

export class Node extends Dataplane {
  engine: SyncEngine
  owned = 0
  private readonly epochs: bigint[] = Array.from({ length: limits.LS_RGS_MAX }, () => 0n)
  readonly events: Array<{ readonly name: SyncEventName, readonly fields: Readonly<Record<string, string | number | null>> }> = []
  conn: Connection | null = null

  constructor (o: DataplaneOptions) {
    super(o)
    this.engine = this.newEngine()
  }

  private newEngine (): SyncEngine {
    const { random, name } = this.o
    return new SyncEngine({
      world: { replica: this.replica, nowMs: () => this.nowMs(), random: (n) => random.bytes(n), event: (event, fields) => { this.events.push({ name: event, fields }) } },
      self: { node: name, table: random.bytes(16), generation: 1, ids: new Uint8Array(8), capacity }, slots: this.table.info().slots, windowBytes: this.o.windowBytes, ...(this.o.keyMs === undefined ? {} : { times: { keyMs: this.o.keyMs } })
    })
  }

  /** Roles are the caller's to set again. */
  restart (reboot: boolean): void {
    this.renew(reboot)
    this.engine = this.newEngine()
    this.conn = null
  }

  role (rg: number, owner: boolean, epoch: bigint): void {
    this.table.setRole(rg, owner ? limits.LS_ROLE_OWNER : limits.LS_ROLE_STANDBY, epoch, 0xffff_ffff_ffff_ffffn)
    this.owned = owner ? this.owned | 1 << rg : this.owned & ~(1 << rg)
    this.epochs[rg] = epoch
    this.engine.own(this.owned, this.epochs)
  }

  protected override drained (records: Uint8Array, n: number, overruns: number): void { this.engine.drained(records, n, overruns) }

  tick (): void {
    this.drain(false)
    this.engine.tick()
    this.replica.settle()
  }
}
