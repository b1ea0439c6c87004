/**
 * vrrp_instance and vrrp_sync_group -> redundancy groups, interfaces and zones. What is in one sync group moves as one; so does what shares an
 * interface, because an interface is of one redundancy group.
 */
import { many, type RawGroup, type RawInterface, type RawMonitor, type RawZone } from '../raw.js'
import { noteOn, remarkOn, Section, textOf, type Directive } from './blocks.js'
import { tracked, type Scripts, type Watched } from './keepalived-track.js'
import { vrrpReasons, type Instance } from './keepalived-vrrp.js'
import { Names } from './names.js'
import type { Notes } from './notes.js'

export interface Groups {
  readonly groups: Record<string, RawGroup>
  readonly interfaces: Record<string, RawInterface>
  readonly zones: Record<string, RawZone>
  /** The group of a floating address, canonical without its length; else 0. */
  readonly groupOf: (address: string) => number
}

const groupsMax = 15

interface Bundle { readonly instances: Instance[], readonly watched: Watched[], readonly names: string[] }

export function importGroups (notes: Notes, top: Section, instances: readonly Instance[], scripts: Scripts, node: string): Groups {
  const bundles = bundlesOf(notes, top, instances, scripts)
  const names = new Names()
  const nameOf = new Map<string, string>()
  const interfaces: Record<string, RawInterface> = {}
  const zones: Record<string, RawZone> = {}
  const addressGroup = new Map<string, number>()
  const use = (device: string, rg: number): string => {
    const known = nameOf.get(device)
    if (known !== undefined) return known
    const name = names.make(device)
    nameOf.set(device, name)
    interfaces[name] = { ...(name === device ? {} : { port: device }), zone: name }
    zones[name] = { 'redundancy-group': rg }
    return name
  }
  for (const [i, bundle] of bundles.entries()) {
    for (const instance of bundle.instances) {
      use(instance.interface, i + 1)
      for (const { at, address, interface: device } of instance.floating) {
        const host = address.replace(/\/\d+$/, '')
        if (addressGroup.has(host)) {
          noteOn(notes, at, 'the address stands above already')
          continue
        }
        addressGroup.set(host, i + 1)
        const name = use(device, i + 1)
        interfaces[name] = { ...interfaces[name], 'floating-addresses': [...many(interfaces[name]?.['floating-addresses']), address] }
      }
    }
  }
  // Interfaces that are only tracked come last, so that none takes a group from one that has addresses.
  const groups = Object.fromEntries(bundles.map((bundle, i) => {
    const monitors = distinct([...bundle.instances.flatMap(instance => instance.watched), ...bundle.watched]).map(monitor => monitorOf(notes, monitor, device => use(device, i + 1), nameOf))
    return [i + 1, groupOf(notes, bundle, monitors, node)]
  }))
  return { groups, interfaces, zones, groupOf: address => addressGroup.get(address.replace(/\/\d+$/, '')) ?? 0 }
}

function monitorOf (notes: Notes, monitor: Watched, use: (device: string) => string, known: ReadonlyMap<string, string>): RawMonitor {
  const device = monitor.interface
  if (device === undefined) return monitor
  if (!known.has(device)) notes.add(null, `interface ${device}`, 'tracked, but no address is on it: it is claimed now, as every interface of the configuration; take it out with its monitor when the agent is not to forward there')
  return { ...monitor, interface: use(device) }
}

function groupOf (notes: Notes, { instances, names }: Bundle, monitors: RawMonitor[], node: string): RawGroup {
  const [first] = instances
  for (const other of instances) {
    if (first !== undefined && other.priority !== first.priority) remarkOn(notes, other.priorityAt, `a redundancy group has one priority: ${first.priority}, of ${first.name}`)
    if (first !== undefined && other.master !== first.master) remarkOn(notes, other.at, `${other.name} and ${first.name} begin as ${other.master ? 'MASTER and BACKUP' : 'BACKUP and MASTER'}, but are of one redundancy group here, which one node owns`)
  }
  return {
    description: names.join(', '),
    priority: { [node]: first?.priority ?? 100 },
    preempt: instances.every(instance => instance.preempt),
    ...(monitors.length === 0 ? {} : { monitors }),
  }
}

/** The same thing watched twice is watched once, with the larger weight. */
function distinct (all: readonly Watched[]): Watched[] {
  const best = new Map<string, Watched>()
  for (const watched of all) {
    const key = watched.interface ?? JSON.stringify([watched.script, watched.name])
    const known = best.get(key)
    if (known === undefined || known.weight < watched.weight) best.set(key, watched)
  }
  return [...best.values()]
}

interface SyncGroup { readonly members: readonly string[], readonly watched: readonly Watched[] }

function bundlesOf (notes: Notes, top: Section, instances: readonly Instance[], scripts: Scripts): Bundle[] {
  const syncGroups = top.all('vrrp_sync_group').map(d => syncGroup(notes, d, instances, scripts))
  const bundles: Bundle[] = []
  const find = (test: (instance: Instance) => boolean): Bundle[] => bundles.filter(bundle => bundle.instances.some(test))
  for (const instance of instances) {
    const own = syncGroups.filter(group => group.members.includes(instance.name))
    const devices = new Set([instance.interface, ...instance.floating.map(f => f.interface)])
    const mates = find(other => own.some(group => group.members.includes(other.name)))
    const neighbours = find(other => [other.interface, ...other.floating.map(f => f.interface)].some(device => devices.has(device)))
    for (const bundle of neighbours) {
      if (!mates.includes(bundle)) remarkOn(notes, instance.at, `in one redundancy group with ${bundle.instances.map(other => other.name).join(', ')}: they share an interface, and an interface is of one group`)
    }
    const all = [...new Set([...mates, ...neighbours])]
    const [into, ...others] = all.length > 0 ? all : bundles.length < groupsMax ? [] : bundles.slice(-1)
    if (all.length === 0 && into !== undefined) remarkOn(notes, instance.at, `there are ${groupsMax} redundancy groups beside group 0: put into the last one`)
    const target = into ?? { instances: [], watched: [], names: [] }
    if (into === undefined) bundles.push(target)
    for (const other of others) {
      target.instances.push(...other.instances)
      target.names.push(...other.names)
      bundles.splice(bundles.indexOf(other), 1)
    }
    target.instances.push(instance)
    target.names.push(instance.name)
  }
  for (const group of syncGroups) find(instance => group.members.includes(instance.name))[0]?.watched.push(...group.watched)
  return bundles
}

/** `group { A B }`, or as older files have it, the names alone. */
function syncGroup (notes: Notes, d: Directive, instances: readonly Instance[], scripts: Scripts): SyncGroup {
  const section = Section.of(notes, d)
  const known = new Set(instances.map(instance => instance.name))
  const bare = section.items.filter(item => item.block === null && item.words.every(word => known.has(word)))
  for (const item of bare) section.all(item.key)
  const listed = section.all('group').flatMap(group => group.block ?? [])
  for (const item of listed) {
    for (const word of item.words) if (!known.has(word)) notes.add(item.line, textOf(item), `no vrrp_instance ${word} that is carried`)
  }
  const watched = tracked(section, scripts)
  section.rest(vrrpReasons)
  return { members: [...bare, ...listed].flatMap(item => item.words), watched }
}
