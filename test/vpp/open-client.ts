/** Clients over the addon's own transports, closed with the test. */
import type { Test } from 'tap'
import { VppClient, type VppTransport } from '../../src/backend/vpp/client.js'
import { sharedTransport } from '../../src/backend/vpp/shared.js'
import { fromNative } from '../../src/native/errors.js'
import { loadCore } from '../../src/native/load.js'

const noted = async (t: Test, name: string, timeoutMs: number, object: string, open: (ready: () => void) => VppTransport): Promise<VppClient> => {
  const client = await VppClient.open({
    name, timeoutMs,
    connect: (ready) => {
      try {
        return open(ready)
      } catch (error) {
        throw fromNative(error, { object })
      }
    }
  })
  t.teardown(() => { client.close() })
  return client
}

export const openClient = async (t: Test, path: string, { name = 'fixture', timeoutMs = 2000 } = {}): Promise<VppClient> =>
  await noted(t, name, timeoutMs, path, (ready) => new (loadCore().VppSocket)(path, ready))

export const openShared = async (t: Test, library: string, prefix: string, { name = 'fixture', timeoutMs = 2000 } = {}): Promise<VppClient> =>
  await noted(t, name, timeoutMs, library, (ready) => sharedTransport(new (loadCore().VppShared)(library, prefix, name, ready)))
