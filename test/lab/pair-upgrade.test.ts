/**
 * A pair is upgraded node by node to a version with another layout of the table and another wire, and back, under downloads: no session is lost. The standby goes first; what
 * holds sessions moves to it when it is proven equal. LOCKSTEP_LAB_FULL=1: a million sessions.
 */
import t from 'tap'
import { join } from 'node:path'
import { ebpfSkip } from './instance.js'
import { buildNextVersion } from './next-version.js'
import { churning, keepDownloading, peerOf } from './pair-failover.js'
import { openPairLab } from './pair-lab.js'
import { routers, type RouterName } from './pair-topology.js'
import { full } from './support.js'

const sessions = full ? 1_000_000 : 50_000
const WITHIN_MS = full ? 300_000 : 90_000
t.setTimeout(1_800_000)

t.test(`from one version to the next and back, with ${sessions} sessions`, { skip: await ebpfSkip('cc', 'curl', 'clang') }, async (t) => {
  const lab = await openPairLab(t, 'pu', { backend: 'ebpf', capacity: full ? '2M' : '128k', more: 'timeouts: {udp-new: 7200s}' })
  const next = await buildNextVersion(join(lab.topology.directory, 'next'))
  await Promise.all(routers.map(async (r) => await lab.start(r)))
  await lab.settled('r1', WITHIN_MS)
  const churn = await churning(lab, full ? 25_000 : 10_000)
  await lab.until(async () => (await lab.group('r1')).sessions >= sessions ? null : 'the table is not full', WITHIN_MS)
  await churn.stop()
  await lab.settled('r1', WITHIN_MS)
  const filled = await lab.agent('r1').count('--protocol', 'udp')
  const downloads = keepDownloading(lab, 8)
  let owner: RouterName = 'r1'

  /** The standby runs the other build, has what the owner has, and takes over. */
  const renew = async (program: string | undefined): Promise<void> => {
    const standby = peerOf(owner)
    await lab.agent(standby).stop()
    t.equal((await lab.agent(standby).teardown()).code, 0)
    await lab.start(standby, lab.config, { readyWithinMs: 60_000, ...(program === undefined ? {} : { program }) })
    await lab.settled(owner, WITHIN_MS)
    const moved = await lab.agent(owner).cli(['cluster', 'switchover', '--to', standby, '--all'])
    t.equal(moved.code, 0, moved.stdout + moved.stderr)
    owner = standby
    t.equal(await lab.agent(owner).count('--protocol', 'udp'), filled, `${owner} has every session`)
  }

  await t.test('a table of another layout is refused, both versions named', async (t) => {
    await lab.agent('r2').stop()
    const refused = await lab.start('r2', lab.config, { readyWithinMs: 60_000, program: next }).then(() => '', (error: unknown) => String(error))
    t.match(refused, /layout.*2.*3|layout.*3.*2/s)
    await lab.start('r2')
    await lab.settled('r1', WITHIN_MS)
  })
  await t.test('both nodes to the next version, one after the other', async () => {
    await renew(next)
    await renew(next)
  })
  await t.test('and back', async () => {
    await renew(undefined)
    await renew(undefined)
  })
  const { ok, broken } = await downloads.end()
  t.same(broken, [], `${ok} downloads went on`)
  t.match(await lab.agent(peerOf(owner)).json(['cluster', 'verify', '--all']), [{ rg: 0, equal: true, differences: 0 }])
})
