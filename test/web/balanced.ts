/** An agent without privileges whose reals are alive while a file of their address is there: what a test needs to let one die. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { place, startAgent, type Place, type Running } from '../agent/agent-process.js'

export interface Balanced {
  readonly place: Place
  readonly agent: () => Running
  readonly revive: (address: string) => void
  readonly kill: (address: string) => void
  /** Stops it, and starts it again on the same state. */
  readonly restart: (between?: () => Promise<void>) => Promise<void>
}

const config = (node: string, alive: string, weight: number): string => `
agent: {node: ${node}, table: {capacity: 16k}}
interfaces:
  clients: {port: "source:clients", zone: clients, addresses: [10.0.0.1/24], neighbours: {10.0.0.2: "02:00:00:00:01:01"}}
  servers: {port: "source:servers", zone: servers, addresses: [10.0.1.1/24], neighbours: {10.0.1.11: "02:00:00:00:01:02", 10.0.1.12: "02:00:00:00:01:03", 10.0.1.13: "02:00:00:00:01:04"}}
traffic-sources:
  clients: {source: 10.0.0.2, destination: 10.0.9.80, port: 80, flows: 200, rate: 1000}
  servers: {mode: answer}
zones: {clients: {}, servers: {}}
policies: [{name: web, from: clients, to: servers, action: permit}]
healthchecks:
  alive: {type: exec, exec: [/usr/bin/test, -e, "${alive}/{address}"], interval: 300ms, rise: 1, fall: 2}
vips:
  web:
    address: 10.0.9.80
    port: 80
    healthcheck: alive
    pools: [{reals: [{name: zulu, address: 10.0.1.11, weight: ${weight}}, {name: alpha, address: 10.0.1.12}, {name: mike, address: 10.0.1.13, weight: 50}]}]
`

export const addresses = ['10.0.1.11', '10.0.1.12', '10.0.1.13'] as const
export const configOf = (node: string, { directory }: Place, weight = 100): string => config(node, join(directory, 'alive'), weight)

export async function balanced (t: Test, node: string): Promise<Balanced> {
  const p = place(t)
  const alive = join(p.directory, 'alive')
  mkdirSync(alive)
  const revive = (address: string): void => { writeFileSync(join(alive, address), '') }
  addresses.forEach(revive)
  p.write(configOf(node, p))
  let agent = await startAgent(t, p)
  return {
    place: p, revive, agent: () => agent,
    kill: (address) => { rmSync(join(alive, address)) },
    restart: async (between = async () => { await Promise.resolve() }) => {
      await agent.stop()
      await between()
      agent = await startAgent(t, p)
    }
  }
}
