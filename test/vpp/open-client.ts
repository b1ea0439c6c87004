/** A client over the addon's own socket, closed with the test. */
import type { Test } from 'tap'
import { VppClient } from '../../src/backend/vpp/client.js'
import { fromNative } from '../../src/native/errors.js'
import { loadCore } from '../../src/native/load.js'

export async function openClient (t: Test, path: string, { name = 'fixture', timeoutMs = 2000 } = {}): Promise<VppClient> {
  const client = await VppClient.open({
    name, timeoutMs,
    connect: (ready) => {
      try {
        return new (loadCore().VppSocket)(path, ready)
      } catch (error) {
        throw fromNative(error, { object: path })
      }
    }
  })
  t.teardown(() => { client.close() })
  return client
}
