/** The keeper's death, return and upgrade: there is one as long as programs forward, and it is this version's. */
import { appendFileSync, copyFileSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { keeperProgram } from '../../src/native/load-ebpf.js'
import { quickstartConfig, shortTimeouts } from './config.js'
import { ebpfSkip, pinsOf } from './instance.js'
import { Background } from './shell.js'
import { agentSaid, openLab } from './support.js'
import { addresses } from './topology.js'
import { curl, httpUrl } from './traffic.js'

const program = keeperProgram()

/** Processes whose first argument is this folder, with their programs. */
function keepers (folder: string): Array<{ pid: number, program: string }> {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name)).flatMap((name) => {
    try {
      const argv = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0')
      return argv[1] === folder && /lockstep-keeper|older-keeper/.test(argv[0] ?? '') ? [{ pid: Number(name), program: readlinkSync(`/proc/${name}/exe`) }] : []
    } catch {
      return [] // it ended
    }
  })
}

t.test('there is a keeper, and it is of this version', { skip: await ebpfSkip('curl') || (program === null && 'lockstep-keeper was not built') }, async (t) => {
  if (program === null) return
  const lab = await openLab(t, 'keep')
  const folder = pinsOf(lab)
  const config = quickstartConfig(lab.prefix, [shortTimeouts, [['agent', 'backend'], 'ebpf']])
  const download = async (): Promise<void> => {
    const f = await curl({ netns: lab.netns('client'), url: httpUrl(addresses.vip.v4, '1m.bin'), count: 4, parallel: 2, sha256: lab.servers.bigSha256, timeoutS: 5 })
    t.same(f.failures, {})
  }
  /** The one keeper, once `wanted` says it is the right one; gives up after ten seconds. */
  const settled = async (wanted: (k: { pid: number, program: string }) => boolean): Promise<{ pid: number, program: string }> => {
    for (let n = 0; n < 200; n++) {
      const [one, ...more] = keepers(folder)
      if (one !== undefined && more.length === 0 && wanted(one)) return one
      await sleep(50)
    }
    throw new Error(`keepers of ${folder}: ${JSON.stringify(keepers(folder))}`)
  }

  let agent = await lab.startAgent(config)
  const first = await settled(() => true)
  process.kill(first.pid, 'SIGKILL')
  const second = await settled(k => k.pid !== first.pid)
  await download()
  t.match(await agent.json(['status']), { state: 'running' }, 'as if nothing had been')

  // Both die: programs forward on the slots that are at hand; then one of another version comes first, and the agent after it.
  await agent.kill()
  await settled(k => k.pid === second.pid)
  process.kill(second.pid, 'SIGKILL')
  await download()
  const older = join(lab.topology.directory, 'older-keeper')
  copyFileSync(program, older)
  appendFileSync(older, 'of another version')
  const stray = new Background('older-keeper', null, [older, folder, `/run/netns/${lab.netns('router')}`])
  await settled(k => k.program === older)
  await download()
  agent = await lab.startAgent(config)
  await settled(k => k.program === program)
  await stray.stop()
  await download()
  t.match(await agent.verify(), { ok: true, faults: [] })
  t.equal(await agent.drained(45_000), 0)
  t.equal((await agent.stop()).code, 0, agentSaid(lab))
  t.equal((await agent.teardown()).code, 0)
  for (let n = 0; n < 100 && keepers(folder).length > 0; n++) await sleep(50)
  t.same(keepers(folder), [], 'it ends with what it keeps')
})
