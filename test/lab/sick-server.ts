/**
 * An HTTP or HTTPS server that falls ill on SIGUSR2 and is well again on the next: over HTTP it answers a byte at a time and never ends, over HTTPS its certificate has
 * expired. Argument: SickServerOptions as JSON; says `ready`.
 */
import { readFileSync } from 'node:fs'
import { createServer as createHttp, type RequestListener } from 'node:http'
import { createServer as createHttps } from 'node:https'

interface Pair { readonly key: string, readonly cert: string }
export interface SickServerOptions { readonly name: string, readonly port: number, /** Files; absent: HTTP. */ readonly tls?: { readonly good: Pair, readonly old: Pair } }

const { name, port, tls } = JSON.parse(process.argv[2] ?? '{}') as SickServerOptions
const read = ({ key, cert }: Pair): { key: Buffer, cert: Buffer } => ({ key: readFileSync(key), cert: readFileSync(cert) })
let ill = false

const answer: RequestListener = (request, response) => {
  response.setHeader('x-server', name)
  if (!ill || tls !== undefined) {
    response.end(`${name} ${request.socket.remoteAddress ?? ''}\n`)
    return
  }
  const drip = setInterval(() => { response.write('.') }, 50)
  response.on('close', () => { clearInterval(drip) })
}
const secure = tls === undefined ? null : createHttps(read(tls.good), answer)
const server = secure ?? createHttp(answer)
process.on('SIGUSR2', () => {
  ill = !ill
  if (tls !== undefined) secure?.setSecureContext(read(ill ? tls.old : tls.good))
})
server.listen(port, '0.0.0.0', () => { console.log('ready') })
