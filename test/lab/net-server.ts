/**
 * A server for the lab, run inside a namespace: `node net-server.js '{"name":"one","udpEcho":7,…}'`. Prints `ready`. Where nginx is missing
 * it also is the HTTP server.
 */
import { createSocket } from 'node:dgram'
import { createReadStream, statSync } from 'node:fs'
import { createServer as createHttp } from 'node:http'
import { createServer as createTcp } from 'node:net'
import { basename, join } from 'node:path'

export interface NetServerOptions {
  readonly name: string
  /** Sends back every datagram with our name in front. */
  readonly udpEcho?: number
  /** Of the UDP echo, IPv4; default: all. */
  readonly address?: string
  /** Sends back every byte; greets with our name. */
  readonly tcpEcho?: number
  readonly http?: { readonly ports: readonly number[], readonly root: string }
}

async function serve (o: NetServerOptions): Promise<void> {
  const opened: Array<Promise<void>> = []
  if (o.udpEcho !== undefined) {
    for (const [type, address] of [['udp4', o.address ?? '0.0.0.0'], ...o.address === undefined ? [['udp6', '::'] as const] : []] as const) {
      const socket = createSocket({ type, ipv6Only: type === 'udp6', recvBufferSize: 4 << 20 })
      const name = Buffer.from(`${o.name} `)
      socket.on('message', (message, from) => { socket.send([name, message], from.port, from.address, () => {}) })
      opened.push(new Promise((resolve, reject) => socket.on('error', reject).bind(o.udpEcho ?? 0, address, resolve)))
    }
  }
  if (o.tcpEcho !== undefined) {
    const server = createTcp({ noDelay: true }, (socket) => {
      socket.on('error', () => {})
      socket.write(`${o.name} ${plain(socket.remoteAddress)}\n`)
      socket.pipe(socket)
    })
    opened.push(new Promise((resolve, reject) => server.on('error', reject).listen({ port: o.tcpEcho, host: '::', backlog: 4096 }, resolve)))
  }
  for (const port of o.http?.ports ?? []) {
    const root = o.http?.root ?? ''
    const server = createHttp((request, response) => {
      const client = plain(request.socket.remoteAddress)
      const head = { 'X-Server': o.name, 'X-Client': client }
      if (request.url === '/who') return response.writeHead(200, head).end(`${o.name} ${client}\n`)
      try {
        const file = join(root, basename(request.url ?? ''))
        response.writeHead(200, { ...head, 'Content-Length': statSync(file).size })
        createReadStream(file).pipe(response)
      } catch {
        response.writeHead(404, head).end()
      }
    })
    opened.push(new Promise((resolve, reject) => server.on('error', reject).listen({ port, host: '::', backlog: 4096 }, resolve)))
  }
  await Promise.all(opened)
  process.stdout.write('ready\n')
}

const plain = (address: string | undefined): string => (address ?? '').replace(/^::ffff:/, '')

await serve(JSON.parse(process.argv[2] ?? '{}') as NetServerOptions)
