/**
 * Configurations of the lab. The base is examples/quickstart.yaml, as a newcomer has it; tests change what they are about through the parsed
 * document, so that its comments and the rest stay.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseDocument, type Document } from 'yaml'
import { netnsOf } from './topology.js'

const quickstartFile = fileURLToPath(new URL('../../../examples/quickstart.yaml', import.meta.url))

/** One change: a path into the document and its new value; `undefined` removes. */
export type Change = readonly [path: ReadonlyArray<string | number>, value: unknown]

/** examples/quickstart.yaml for the lab of this prefix, with changes. */
export function quickstartConfig (prefix: string, changes: readonly Change[] = []): string {
  const backend = process.env['LOCKSTEP_LAB_BACKEND'] ?? 'userspace'
  return changed(readFileSync(quickstartFile, 'utf8'), [[['agent', 'netns'], netnsOf(prefix, 'router')], [['agent', 'backend'], backend], ...changes])
}

export function changed (text: string, changes: readonly Change[]): string {
  const document: Document = parseDocument(text)
  for (const [path, value] of changes) {
    if (value === undefined) document.deleteIn(path)
    else document.setIn(path, document.createNode(value))
  }
  return document.toString({ lineWidth: 0 })
}

/** Sessions that end soon, so that a test sees the table drain. */
export const shortTimeouts: Change = [['timeouts'], {
  'tcp-syn-sent': '3s', 'tcp-syn-recv': '3s', 'tcp-established': '30s', 'tcp-fin-wait': '3s', 'tcp-close-wait': '3s', 'tcp-last-ack': '3s', 'tcp-time-wait': '1s', 'tcp-close': '1s',
  'udp-new': '2s', 'udp-stream': '2s', 'icmp-echo': '2s'
}]

/** The VIPs on another port, where a server of ours listens. */
export const vipOn = (port: number): Change[] => [[['vips', 'web4', 'port'], port], [['vips', 'web4', 'application'], 'https'], [['vips', 'web6', 'port'], port], [['vips', 'web6', 'application'], 'https']]

/** The least a router has: two interfaces, no policy, nothing to the host beyond the management ports. */
export function denyAllConfig (prefix: string): string {
  return `agent:
  netns: ${netnsOf(prefix, 'router')}
  management: {ports: [22]}
interfaces:
  rt-client: {zone: clients}
  rt-server: {zone: servers}
zones:
  clients: {host-inbound: [ping]}
  servers: {host-inbound: [ping]}
`
}
