/** POST to somebody we do not trust: what is said of a failure, what is read of an answer. */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { HttpError, post, type PostOptions } from '../../../../src/bgp/sinks/http.js'

const never = new AbortController().signal
const usual = { headers: {}, body: '{}', timeoutMs: 5000, answerBytesMax: 1000, beyond: 'refuse', signal: never } as const
const failure = async (options: Partial<PostOptions> & { readonly url: string }): Promise<HttpError> => await post({ ...usual, ...options }).then(() => { throw new Error('it was answered') }, (error: unknown) => {
  if (error instanceof HttpError) return error
  throw error
})

async function served (t: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(async () => {
    server.closeAllConnections()
    await new Promise<void>(resolve => server.close(() => { resolve() }))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test('what cannot be sent at all has for certain not arrived, and what is secret in it is not told', async t => {
  for (const options of [{ url: 'http://user:secret@127.0.0.1:9/' }, { url: 'http://secret@[::1' }, { url: 'http://127.0.0.1/', headers: { x: 'secret\u4e00' } }]) {
    const { message, mayHaveArrived } = await failure(options)
    t.match(message, /no request can be made/)
    t.notMatch(message, /secret/)
    t.equal(mayHaveArrived, false)
  }
})

t.test('a failure is told by its code, or in our own words', async t => {
  const url = await served(t, request => { request.socket.destroy() })
  t.match(await failure({ url: `${url}/secret` }), { message: `${url}: UND_ERR_SOCKET`, mayHaveArrived: true })
  t.match(await failure({ url: 'http://127.0.0.1:22/secret' }), { message: 'http://127.0.0.1:22: the connection failed' }, 'an error of the library without a code')
  const ending = new AbortController()
  ending.abort(new Error('it stops'))
  t.match(await failure({ url, signal: ending.signal }), { message: `${url}: it stops`, mayHaveArrived: true })
})
