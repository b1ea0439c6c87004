/**
 * The servers of the lab, `one` in s1 and `two` in s2: HTTP (nginx with a configuration of its own, or Node where nginx is missing), UDP and
 * TCP echo, iperf3. Each names itself and the client it sees, so that shares and translation show.
 */
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { LockstepError } from '../../src/contract/errors.js'
import { Background, run, which } from './shell.js'
import type { NetServerOptions } from './net-server.js'
import type { HostName, Topology } from './topology.js'

/** All of them are permitted from client to servers by examples/quickstart.yaml. */
export const ports = { http: 80, httpAlt: 8080, echo: 5007, iperf: 5201 } as const
const BIG_BYTES = 1 << 20
const serverNames = { s1: 'one', s2: 'two' } as const

const program = (name: string): string => fileURLToPath(new URL(`./${name}.js`, import.meta.url))
export const nodeProgram = (name: 'net-server' | 'net-client' | 'sick-server', options: object): string[] => [process.execPath, program(name), JSON.stringify(options)]

/** Responses name the server and the address it sees. `files` is served flat. */
export function nginxConfig (name: string, directory: string, files: string, listen: readonly number[] = [ports.http, ports.httpAlt]): string {
  return `# server ${name} of the lab
daemon off;
master_process off;
user root;
pid ${directory}/nginx.pid;
error_log ${directory}/error.log warn;
events { worker_connections 8192; }
http {
  access_log off;
  sendfile on;
  default_type application/octet-stream;
${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `  ${kind}_temp_path ${directory}/${kind};`).join('\n')}
  server {
${listen.map((port) => `    listen ${port} backlog=4096;\n    listen [::]:${port} ipv6only=on backlog=4096;`).join('\n')}
    root ${files};
    add_header X-Server ${name} always;
    add_header X-Client $remote_addr always;
    location = /who { default_type text/plain; return 200 "${name} $remote_addr\\n"; }
    location = /slow { alias ${files}/1m.bin; limit_rate 256k; }
  }
}
`
}

/** Starts a server program in a namespace and waits until it says so. */
export async function startNetServer (topology: Topology, host: HostName, options: NetServerOptions): Promise<Background> {
  const server = new Background(`${options.name} (echo)`, topology.netns(host), nodeProgram('net-server', options))
  await server.says('ready')
  return server
}

export class Servers {
  /** `nginx`, or why not. */
  readonly http: string
  readonly iperf: boolean
  /** Of the 1 MiB file, SHA-256 in hexadecimal: the same on both servers. */
  readonly bigSha256: string
  readonly #running: readonly Background[]

  private constructor (http: string, iperf: boolean, bigSha256: string, running: readonly Background[]) {
    this.http = http
    this.iperf = iperf
    this.bigSha256 = bigSha256
    this.#running = running
  }

  static async start (topology: Topology): Promise<Servers> {
    const files = join(topology.directory, 'files')
    const big = randomBytes(BIG_BYTES)
    mkdirSync(files, { recursive: true })
    writeFileSync(join(files, '1m.bin'), big)
    writeFileSync(join(files, 'small.txt'), 'a small body\n')
    const nginx = which('nginx')
    const iperf = which('iperf3') !== null
    const running: Background[] = []
    try {
      for (const host of ['s1', 's2'] as const) {
        const name = serverNames[host]
        const netns = topology.netns(host)
        if (nginx !== null) {
          const directory = join(topology.directory, name)
          mkdirSync(directory)
          writeFileSync(join(directory, 'nginx.conf'), nginxConfig(name, directory, files))
          running.push(new Background(`nginx ${name}`, netns, [nginx, '-p', directory, '-e', join(directory, 'error.log'), '-c', join(directory, 'nginx.conf')]))
        }
        running.push(await startNetServer(topology, host, {
          name, udpEcho: ports.echo, tcpEcho: ports.echo, ...(nginx === null ? { http: { ports: [ports.http, ports.httpAlt], root: files } } : {})
        }))
        if (iperf) running.push(new Background(`iperf3 ${name}`, netns, ['iperf3', '-s', '-p', String(ports.iperf)]))
        const wanted = [ports.http, ports.httpAlt, ports.echo, ...(iperf ? [ports.iperf] : [])]
        await until(running.at(-1) as Background, async () => {
          const dead = running.find((b) => !b.running)
          if (dead !== undefined) throw new LockstepError('unavailable', 'LS_LAB_SERVER', 'a server ended', { object: dead.name, found: dead.output.slice(-500) })
          const listening = (await run(['cat', '/proc/net/tcp', '/proc/net/tcp6'], { netns })).stdout
          return wanted.every((port) => new RegExp(`:${port.toString(16).toUpperCase().padStart(4, '0')} [0:]+ 0A `).test(listening))
        })
      }
    } catch (error) {
      await Promise.all(running.map(async (b) => await b.stop()))
      throw error
    }
    return new Servers(nginx === null ? 'Node.js (nginx is missing)' : 'nginx', iperf, createHash('sha256').update(big).digest('hex'), running)
  }

  async close (): Promise<void> {
    await Promise.all(this.#running.map(async (b) => await b.stop('SIGTERM', 1000)))
  }
}

async function until (server: Background, ready: () => boolean | Promise<boolean>, withinMs = 60_000): Promise<void> {
  const deadline = Date.now() + withinMs
  while (!await ready()) {
    if (!server.running || Date.now() > deadline) throw new LockstepError('unavailable', 'LS_LAB_SERVER', server.running ? 'is not ready in time' : 'ended', { object: server.name, found: server.output.slice(-500) })
    await sleep(20)
  }
}
