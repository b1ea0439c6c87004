/** Every message between the main thread and its workers. */

/** Main -> sync worker, as workerData. */
export interface SyncWorkerData {
  readonly tableId: number
  /** One Int32: messages on their way to the main thread. The worker adds, the main thread takes away; full = what comes next is lost and counted. */
  readonly underWay: SharedArrayBuffer
}
/** Main -> sync worker. */
export type ToSync = { readonly kind: 'listen', readonly on: boolean } | { readonly kind: 'stop' }
/** Sync worker -> main. `records` is transferred: packed struct ls_wire_record; `lost` changes came before it and are gone. */
export type FromSync =
  | { readonly kind: 'changes', readonly records: Uint8Array, readonly lost: number }
  | { readonly kind: 'logs', readonly rows: Uint8Array }
  /** Ended sessions whose policy asks for a line: packed struct ls_wire_record. `lost` more came before. */
  | { readonly kind: 'closed', readonly records: Uint8Array, readonly lost: number }
  | { readonly kind: 'stopped' }
