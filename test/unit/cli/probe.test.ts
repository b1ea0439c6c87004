/** `lockstep probe`: a service from outside. */
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTcp, type AddressInfo, type Server } from 'node:net'
import t, { type Test } from 'tap'
import { probeTarget, summary } from '../../../src/cli/service-probe.js'
import { runCli, type CliResult } from './run-cli.js'

async function portOf (t: Test, server: Server): Promise<number> {
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.close() })
  return (server.address() as AddressInfo).port
}
const serve = async (t: Test, listener: RequestListener): Promise<string> => `http://127.0.0.1:${await portOf(t, createServer(listener))}`
const cli = async (...args: string[]): Promise<CliResult> => await runCli(['probe', ...args])

t.test('who answered, how often and how fast; also where the first line of the body says it', async (t) => {
  let n = 0
  const url = await serve(t, (_, response) => {
    const name = n++ % 4 === 0 ? 'two' : 'one'
    response.setHeader('X-Server', name)
    response.end(`${name} says hello\nand more`)
  })
  const { code, out } = await cli(url, '--count', '8', '--interval', '1ms', '--parallel', '1')
  t.equal(code, 0)
  t.match(out, /^8 of 8 answered: p50 [\d.]+ ms, p95 [\d.]+ ms, p99 [\d.]+ ms, max [\d.]+ ms\n\nSERVER +REQUESTS +SHARE +P50 +P99\none +6 +75 % .*\ntwo +2 +25 % .*\n$/)
  n = 0
  t.match(JSON.parse((await cli(url, '--count', '4', '--interval', '0ms', '--server', 'body', '--json')).out), { requests: 4, ok: 4, servers: [{ name: 'one says hello', requests: 3 }, { name: 'two says hello', requests: 1 }] })
})

t.test('what fails is counted by its reason, and the exit code tells it', async (t) => {
  let n = 0
  const url = await serve(t, (request, response) => {
    if (n++ === 0) response.writeHead(503).end()
    else if (n === 2) request.socket.destroy()
    else if (n > 3) response.end()
  })
  const { code, out } = await cli(url, '--count', '4', '--interval', '0ms', '--parallel', '1', '--timeout', '200ms')
  t.equal(code, 1)
  t.match(out, /^1 of 4 answered/)
  t.match(out, /1 failed: status 503\n1 failed: ECONNRESET\n1 failed: no answer within 200 ms\n/)
  t.match(out, /\(does not say\) +1 +100 %/)
})

t.test('tcp: a connection is enough; nobody there is a failure', async (t) => {
  const server = createTcp((socket) => { socket.on('error', () => { /* reset by the probe */ }) })
  const port = await portOf(t, server)
  t.match(await cli(`tcp://127.0.0.1:${port}`, '--count', '2', '--interval', '0ms'), { code: 0, out: /^2 of 2 answered/ })
  server.close()
  t.match(await cli(`tcp://127.0.0.1:${port}`, '--count', '1'), { code: 1, out: '0 of 1 answered\n1 failed: ECONNREFUSED\n' })
})

t.test('what is no service or no number is refused', async (t) => {
  for (const url of ['nothing', 'ftp://x/', 'tcp://192.0.2.1', 'http://', '']) t.equal(probeTarget(url), null, url)
  t.match(await cli('ftp://x/'), { code: 2, err: /not a service/ })
  t.match(await cli('http://127.0.0.1/', '--count', '0'), { code: 2 })
  t.match(await cli('http://127.0.0.1/', '--parallel', '5000'), { code: 2 })
  t.match(await cli('http://127.0.0.1/', '--timeout', 'soon'), { code: 2 })
})

t.test('quantiles are values that were measured', async (t) => {
  const answers = Array.from({ length: 100 }, (_, i) => ({ ms: i + 1, server: '', failure: i === 99 ? 'ECONNRESET' : null }))
  t.match(summary(answers), { requests: 100, ok: 99, failures: { ECONNRESET: 1 }, ms: { p50: 50, p95: 95, p99: 99, max: 99 } })
  t.match(summary([]), { requests: 0, ok: 0, ms: null, servers: [] })
})
