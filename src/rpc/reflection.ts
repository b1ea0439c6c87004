/** Server reflection v1 and v1alpha, the standard health service and what reflection knows of channelz, from the published packages. */
import { existsSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Server } from '@grpc/grpc-js'
import { load } from '@grpc/proto-loader'
import { ReflectionService } from '@grpc/reflection'
import { HealthImplementation } from 'grpc-health-check'

/** All of this package, whatever they are. */
const ownFiles = (): string[] => readdirSync(join(protoRoot(), 'lockstep/v1')).filter(name => name.endsWith('.proto')).map(name => `lockstep/v1/${name}`)
const otherFiles = ['grpc/health/v1/health.proto', 'channelz.proto']

/** Reads the .proto files that are installed with the package. They must have no map fields: protobufjs, below proto-loader, names
 * map entries in a way that strict clients (Go) refuse. */
export async function addReflection (server: Server): Promise<void> {
  const definition = await load([...ownFiles(), ...otherFiles], { includeDirs: [protoRoot(), channelzRoot()], keepCase: true, longs: String, enums: String, defaults: true, oneofs: true })
  new ReflectionService(definition).addToServer(server)
}

export interface Health {
  /** Of the agent as a whole and of each of its services. */
  setServing: (serving: boolean) => void
}

/** `services`: full names. */
export function addHealth (server: Server, services: readonly string[]): Health {
  const names = ['', ...services]
  const health = new HealthImplementation(Object.fromEntries(names.map((name) => [name, 'NOT_SERVING' as const])))
  health.addToServer(server)
  return { setServing: (serving) => { for (const name of names) health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING') } }
}

const channelzRoot = (): string => join(dirname(createRequire(import.meta.url).resolve('@grpc/grpc-js/package.json')), 'proto')

/** `proto/` of this package, from sources as from dist. */
function protoRoot (): string {
  let at = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(at, 'proto', 'lockstep', 'v1', 'agent.proto'))) {
    const up = dirname(at)
    if (up === at) throw new Error('proto/lockstep/v1 is missing from the installed package')
    at = up
  }
  return join(at, 'proto')
}
