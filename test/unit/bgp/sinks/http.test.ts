/** POST to somebody we do not trust: what is said of a failure, what is read of an answer. */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { HttpError, post, rootOf, type PostOptions } from '../../../../src/bgp/sinks/http.js'

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

t.test('which failures were before anything was sent', async t => {
  const of = (fields: object): boolean => rootOf(new TypeError('fetch failed', { cause: Object.assign(new Error('x'), fields) })).unsent
  for (const code of ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT']) {
    t.equal(of({ code, syscall: 'connect' }), true, code)
    t.equal(of({ code, syscall: 'read' }), false, `${code} of a connection that stood`)
  }
  for (const [fields, unsent] of [[{ code: 'ENOTFOUND', syscall: 'getaddrinfo' }, true], [{ code: 'UND_ERR_CONNECT_TIMEOUT' }, true], [{ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }, true], [{ code: 'CERT_HAS_EXPIRED' }, true],
    [{ code: 'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC' }, false], [{ code: 'EPROTO', syscall: 'write' }, false], [{ code: 'UND_ERR_SOCKET' }, false], [{}, false],
    [{ code: 'ECONNREFUSED', errors: [{ code: 'EHOSTUNREACH', syscall: 'connect' }] }, true]] as const) t.equal(of(fields), unsent, JSON.stringify(fields))
  const closed = createServer()
  await new Promise<void>(resolve => closed.listen(0, '127.0.0.1', resolve))
  const { port } = closed.address() as AddressInfo
  await new Promise<void>(resolve => closed.close(() => { resolve() }))
  t.match(await failure({ url: `http://127.0.0.1:${port}/` }), { message: `http://127.0.0.1:${port}: ECONNREFUSED`, mayHaveArrived: false })
})

t.test('an answer whose body never ends, or has no end of bytes', async t => {
  let closed = 0
  const url = await served(t, (request, response) => {
    response.on('close', () => { closed++ })
    response.writeHead(200)
    const more = (): void => { while (response.write(Buffer.alloc(65_536)) && !response.destroyed); }
    if (request.url === '/flood') {
      response.on('drain', more)
      more()
    } else response.write('{"a":')
  })
  const refused = await failure({ url: `${url}/flood` })
  t.match(refused, { message: `${url}: the answer has more than 1000 bytes`, mayHaveArrived: true })
  t.equal((await post({ ...usual, url: `${url}/flood`, beyond: 'cut' })).text.length, 1000)
  t.match(await failure({ url, timeoutMs: 50 }), { message: `${url}: no whole answer in 50 ms`, mayHaveArrived: true })
  t.match(await post({ ...usual, url, timeoutMs: 1000, beyond: 'cut' }), { status: 200, text: '{"a":' }, 'the status is all that is needed')
  for (let i = 0; i < 30_000 && closed < 4; i++) await new Promise(resolve => setTimeout(resolve, 1))
  t.equal(closed, 4, 'no connection is left behind')
})
