/** Schema of `cluster` and `redundancy-groups`: the two nodes of a pair, and what they own. */
import { clusterDefaults, clusterLimits as max } from '../../contract/cluster-limits.js'
import { duration, flag, integer, listOf, mapOf, name, object, oneOrMany, text, type JsonSchema } from './common.js'
import { formatDuration } from '../units.js'

const { timing, timers, script, priority } = clusterDefaults
const span = (from: number, to: number): string => `${formatDuration(from)} to ${formatDuration(to)}.`
const file = (description: string): JsonSchema => text(`${description} An absolute path.`)

const node = object('A node of the pair.', {
  index: integer('Its number, another one than the peer’s. The lower one listens for the stream of sessions, the other dials; of equals the lower one owns.', 0, max.nodeIndexMax),
  sync: oneOrMany(`Where the stream of sessions is listened for (TCP), one for each path, the preferred one first, in the same order at both nodes; at most ${max.syncPathsMax}. It moves to the next path when one fails, and back.`, text('address:port'), { examples: ['169.254.77.1:7946', ['[fd77::1]:7946', '192.168.10.1:7946']] }),
  heartbeat: oneOrMany(`Where heartbeats are received (UDP), one for each path, in the same order at both nodes; at most ${max.heartbeatPathsMax}.`, text('address:port'), { examples: [['169.254.77.1:7945', '192.168.10.1:7945']] }),
}, ['index', 'sync', 'heartbeat'])

export const cluster = object('The pair that this file is for. Without it every node stands alone.', {
  'key-file': { ...file('File of at least 32 random bytes that both nodes have: it authenticates heartbeats, and the stream of sessions when there are no certificates.'), examples: ['/etc/lockstep/cluster.key'] },
  certificates: object('Mutual TLS for the stream of sessions; the name in a certificate is that of its node.', {
    certificate: file('Certificate of this node (PEM).'),
    key: file('Its key (PEM).'),
    authority: file('Who signs the certificates of both (PEM).'),
  }, ['certificate', 'key', 'authority']),
  heartbeat: object('How soon a silent peer is lost: after interval times count.', {
    interval: duration(`Time between two heartbeats, ${span(max.intervalMsMin, max.intervalMsMax)}`, formatDuration(timing.intervalMs)),
    count: integer('Heartbeats that are missed.', max.countMin, max.countMax, { default: timing.count }),
  }),
  'restart-hold': duration(`How long the peer waits for an agent that announced its restart, while its dataplane goes on: ${span(0, max.restartHoldMsMax)}`, formatDuration(timers.restartHoldMs)),
  'move-timeout': duration(`A planned move that takes longer is taken back: ${span(max.moveTimeoutMsMin, max.moveTimeoutMsMax)}`, formatDuration(timers.moveTimeoutMs)),
  'degraded-after': duration(`When nobody owns a group and no node is ready, the best one owns all the same after ${span(max.degradedAfterMsMin, max.degradedAfterMsMax)}`, formatDuration(timers.degradedAfterMs)),
  monitor: object('Damping of monitors, so that a flapping link moves a group once.', {
    'worse-after': duration(`A loss counts after ${span(0, max.dampingMsMax)}`, formatDuration(timers.worseAfterMs)),
    'better-after': duration(`A return counts after ${span(0, max.dampingMsMax)}`, formatDuration(timers.betterAfterMs)),
  }),
  nodes: mapOf('The two nodes by name. `agent.node`, `--node` or the host name says which one this is.', node),
}, ['key-file', 'nodes'])

const monitor = object('What a group needs: one of interface, neighbour and script. While it is down its weight is taken off the priority; a node without any priority left does not own.', {
  interface: name('Logical interface: down when it is, or without carrier.'),
  neighbour: text('Next hop: down when it is not resolved.', { examples: ['198.51.100.1'] }),
  script: { ...listOf('Program and arguments: down when it does not end with 0 in time. An absolute path.', text('argument'), { minItems: 1, maxItems: 64 }), examples: [['/usr/local/bin/check', 'upstream']] },
  weight: integer('Taken off the priority.', 1, max.weightMax),
  interval: duration(`Between two runs of the script, ${span(max.scriptMsMin, max.scriptMsMax)}`, formatDuration(script.intervalMs)),
  timeout: duration('Of a run, at most the interval.', formatDuration(script.timeoutMs)),
  name: name('Unique in the group. Default: the interface, the address, or the file name of the script.'),
}, ['weight'])

export const redundancyGroups: JsonSchema = {
  type: 'object', propertyNames: { pattern: '^(\\d|1[0-5])$' }, default: { 0: {} },
  description: 'Redundancy groups by number, 0 to 15: units of ownership that fail over as one. Group 0 always exists.',
  additionalProperties: object('A redundancy group.', {
    description: text('For people.'),
    priority: mapOf(`Who is preferred, by node: the higher one. Default: ${priority} for each.`, integer('Priority.', 1, max.priorityMax)),
    preempt: flag('The preferred node takes the group back by itself when it is ready.', false),
    monitors: listOf('What takes priority off a node.', monitor, { default: [] }),
  }),
}
