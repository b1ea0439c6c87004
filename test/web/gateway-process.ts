/** A gateway as a process of its own, and a wire in front of it that a test can cut, stall and mend. */
import { spawn } from 'node:child_process'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { plain, root } from '../agent/agent-process.js'

export interface GatewayProcess {
  /** 127.0.0.1:PORT */
  readonly address: string
  readonly stop: () => Promise<void>
}

export async function startGatewayProcess (t: Test, servers: string, options: { readonly http?: string, readonly role?: string } = {}): Promise<GatewayProcess> {
  const { http = '127.0.0.1:0', role = 'viewer' } = options
  const [command = '', ...args] = [...plain, process.execPath, join(root, 'dist/src/cli/main.js'), 'gateway', '--server', servers, '--http', http, '--role', role]
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  const ended = new Promise<void>((resolve) => { child.on('close', () => { resolve() }) })
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    await ended
  }
  t.teardown(stop)
  child.stderr.setEncoding('utf8').on('data', (part: string) => { out += part })
  return await new Promise((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      out += part
      const [, address] = /http:\/\/(127\.0\.0\.1:\d+)\//.exec(out) ?? []
      if (address !== undefined) resolve({ address, stop })
    })
    void ended.then(() => { reject(new Error(`the gateway ended: ${out}`)) })
  })
}

export interface Wire {
  readonly address: string
  /** Every connection is reset, and none is taken until it is mended. */
  readonly cut: () => void
  /** Connections stay and nothing passes any more. */
  readonly stall: () => void
  readonly mend: () => void
}

export async function wireTo (t: Test, address: () => string): Promise<Wire> {
  const sockets = new Set<Socket>()
  let open = true
  const server = createServer((socket) => {
    if (!open) {
      socket.resetAndDestroy()
      return
    }
    const [host = '', port = ''] = address().split(':')
    const far = connect(Number(port), host)
    for (const one of [socket, far]) {
      sockets.add(one)
      one.on('error', () => { one.destroy() }).on('close', () => {
        sockets.delete(one)
        socket.destroy()
        far.destroy()
      })
    }
    socket.pipe(far)
    far.pipe(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => { resolve() }))
  const reset = (): void => { for (const socket of sockets) socket.destroy() }
  t.teardown(() => {
    reset()
    server.close()
  })
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut: () => {
      open = false
      reset()
    },
    stall: () => {
      open = false
      for (const socket of sockets) socket.unpipe().pause()
    },
    mend: () => { open = true }
  }
}
