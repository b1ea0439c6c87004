/** BPF programs and links of the whole host, with the pins that tell whose they are. */
import type { BpfLink, BpfProgram, TcProgram } from '../facts.js'
import { readSeen, type Seen } from '../seen.js'
import { array, list, number, object, parseArray, text } from './json.js'
import { runTool } from './tool.js'

export async function gatherPrograms (signal?: AbortSignal): Promise<Seen<readonly BpfProgram[]>> {
  return readSeen(await runTool('bpftool', ['-j', '-f', 'prog', 'show'], { signal }), (out) => parseArray(out)
    .map((p) => ({ id: number(p['id']), name: text(p['name']), type: text(p['type']), pinned: list(p['pinned']).map(text) })))
}

export async function gatherBpfLinks (signal?: AbortSignal): Promise<Seen<readonly BpfLink[]>> {
  return readSeen(await runTool('bpftool', ['-j', '-f', 'link', 'show'], { signal }), (out) => parseArray(out)
    .map((l) => ({ id: number(l['id']), programId: number(l['prog_id']), pinned: list(l['pinned']).map(text) })))
}

export async function gatherBpftoolVersion (signal?: AbortSignal): Promise<Seen<readonly [number, number]>> {
  return readSeen(await runTool('bpftool', ['-j', 'version'], { signal }), (out) => {
    const [major = 0, minor = 0] = text(object(JSON.parse(out))['version']).split('.').map(Number)
    return [major, minor] as const
  })
}

/** Programs of tc and tcx by device, in one namespace. */
export async function gatherTc (netns: string | null, signal?: AbortSignal): Promise<Seen<ReadonlyMap<string, readonly TcProgram[]>>> {
  return readSeen(await runTool('bpftool', ['-j', 'net', 'show'], { netns, signal }), (out) => {
    const devices = new Map<string, TcProgram[]>()
    for (const entry of array(JSON.parse(out)).map(object).flatMap((e) => list(e['tc'])).map(object)) {
      const device = text(entry['devname'])
      devices.set(device, [...devices.get(device) ?? [], { id: number(entry['id'] ?? entry['prog_id']), name: text(entry['name']), hook: text(entry['kind']) }])
    }
    return devices
  })
}
