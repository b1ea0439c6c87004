/** Clients over the addon's own transports, closed with the test; `null`: by whoever opened them. */
import type { Test } from 'tap'
import { VppClient, type VppTransport } from '../../src/backend/vpp/client.js'
import { sharedTransport } from '../../src/backend/vpp/shared.js'
import { fromNative } from '../../src/native/errors.js'
import { loadCore } from '../../src/native/load.js'

interface Options { readonly name?: string, readonly timeoutMs?: number, readonly signal?: AbortSignal }

const noted = async (t: Test | null, { name = 'fixture', timeoutMs = 2000, signal }: Options, object: string, open: (ready: () => void) => VppTransport): Promise<VppClient> => {
  const client = await VppClient.open({
    name, timeoutMs, ...signal === undefined ? {} : { signal },
    connect: (ready) => {
      try {
        return open(ready)
      } catch (error) {
        throw fromNative(error, { object })
      }
    }
  })
  t?.teardown(() => { client.close() })
  return client
}

export const openClient = async (t: Test | null, path: string, o: Options = {}): Promise<VppClient> =>
  await noted(t, o, path, (ready) => new (loadCore().VppSocket)(path, ready))

export const openShared = async (t: Test | null, library: string, prefix: string, o: Options = {}): Promise<VppClient> =>
  await noted(t, o, library, (ready) => sharedTransport(new (loadCore().VppShared)(library, prefix, o.name ?? 'fixture', ready)))
