/** VPP's API through shared memory, as the client's transport: the library has VPP's table of messages, and greets by itself. */
import type { NativeVppShared } from '../../native/binding.js'
import type { VppTransport } from './client.js'

export const sharedTransport = (shared: NativeVppShared): VppTransport => ({
  send: (frames) => shared.send(frames),
  take: () => shared.take(),
  over: () => shared.over(),
  close: () => { shared.close() },
  table: { greeted: () => shared.greeted(), lookup: (key) => shared.lookup(key) }
})
