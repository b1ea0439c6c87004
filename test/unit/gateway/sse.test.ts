/** Everything may be longer than what a reader may be behind: it comes over a slow link all the same. */
import t from 'tap'
import { createServer, get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { serveStream } from '../../../src/gateway/sse.js'
import type { Live, Message } from '../../../src/gateway/live.js'
import { comesAbout } from '../../until.js'

t.test('a state of 24 MiB reaches a reader that is slow; one that then falls behind is let go', async (t) => {
  let tell = (_: Message): void => undefined
  const live: Live = {
    epoch: 'e', state: async () => await Promise.resolve({ seq: 1, json: `"${'x'.repeat(24 << 20)}"` }), objects: async () => await Promise.resolve('{}'), reaches: () => false,
    follow: (_, onMessage) => { tell = onMessage; return () => undefined }, close: async () => { await Promise.resolve() }
  }
  const server = createServer((request, response) => { void serveStream(live, false, request, response, 20) })
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.closeAllConnections(); server.close() })
  let [bytes, over] = [0, false]
  let text = ''
  const response = await new Promise<IncomingMessage>((resolve) => { get({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', agent: false }, resolve) })
  response.on('error', () => undefined).on('close', () => { over = true }).pause()
  await new Promise((resolve) => { setTimeout(resolve, 300) })
  tell({ seq: 2, event: { text: 'data: behind\n\n', guarded: false } })
  response.on('data', (part: Buffer) => { bytes += part.length; text = part.toString('latin1').slice(-200) }).resume()
  t.ok(await comesAbout(() => bytes > 24 << 20 && text.includes('alive')), `${bytes} bytes came`)
  t.notOk(over)
  response.pause()
  for (let i = 0; i < 40; i++) {
    tell({ seq: 3 + i, event: { text: `data: ${'y'.repeat(1 << 20)}\n\n`, guarded: false } })
    await new Promise((resolve) => { setTimeout(resolve, 5) })
  }
  response.resume()
  t.ok(await comesAbout(() => over), 'its connection is closed')
})
