/** A dead agent, and a dead lab: who comes next finds nothing in the way and leaves nothing behind. */
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { fileURLToPath } from 'node:url'
import { quickstartConfig, shortTimeouts } from './config.js'
import { run } from './shell.js'
import { agentSaid, nothingLeft, openLab, prefixOf, skipReason } from './support.js'
import { addresses, labsRunning, removeLeftovers, startOf } from './topology.js'
import { curl, httpUrl, ping } from './traffic.js'

const skip = await skipReason('curl', 'ping')

t.test('kill -9 of the agent, and a new one', { skip }, async (t) => {
  const lab = await openLab(t, 'crash')
  const client = lab.netns('client')
  const config = quickstartConfig(lab.prefix, [shortTimeouts])
  const works = async (t: Test): Promise<void> => {
    for (const url of [httpUrl(addresses.vip.v4, '1m.bin'), httpUrl(addresses.vip.v6, '1m.bin'), httpUrl(addresses.s1.v4, '1m.bin', 8080)]) {
      t.same((await curl({ netns: client, url, count: 6, parallel: 3, sha256: lab.servers.bigSha256 })).failures, {}, url)
    }
  }
  const tables = async (): Promise<string[]> => (await run(['nft', 'list', 'tables'], { netns: lab.netns('router') })).stdout.split('\n').filter(Boolean)

  const first = await lab.startAgent(config)
  await works(t)
  const expected = await tables()
  t.equal(expected.length, 1, 'one nft table')
  const download = curl({ netns: client, url: httpUrl(addresses.vip.v4, '1m.bin'), count: 30, parallel: 8, sha256: null, timeoutS: 5 })
  await first.kill()
  t.ok(first.socketExists, 'a killed agent leaves its socket')
  await download
  for (let i = 0; i < 1000 && (await tables()).length > 0; i++) await sleep(20)
  t.same(await tables(), [], 'its nft table has gone with it: the interfaces are the host\'s again')
  t.equal((await ping({ netns: client, to: addresses.routerClient.v4, count: 2 })).received, 2, 'the router itself is still reachable')

  const second = await lab.startAgent(config)
  t.not(second.pid, first.pid)
  await works(t)
  t.same(await tables(), expected, 'still one nft table')
  t.match(await second.verify(), { ok: true, faults: [] })

  // A kill in the middle of an apply: the next start has one whole generation.
  const applying = second.apply(quickstartConfig(lab.prefix, [shortTimeouts, [['policies', 2, 'enabled'], false]])).catch(() => null)
  await second.kill()
  await applying
  const third = await lab.startAgent(config)
  await works(t)
  t.equal((await third.stop()).code, 0, agentSaid(lab))
  t.same(await tables(), [], 'and none after a regular end')
})

t.test('what a killed lab left is removed by the next', { skip }, async (t) => {
  const prefix = prefixOf('dead')
  const topology = fileURLToPath(new URL('./topology.js', import.meta.url))
  const program = `const { Topology } = await import(${JSON.stringify(topology)})
    const lab = await Topology.open({ prefix: ${JSON.stringify(prefix)} })
    const { spawn } = await import('node:child_process')
    const child = spawn('nsenter', ['--net=/run/netns/' + lab.netns('s1'), 'sleep', '1000'], { detached: true, stdio: 'ignore' })
    console.log(JSON.stringify({ directory: lab.directory, child: child.pid }))
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), 200)`
  const r = await run([process.execPath, '--input-type=module', '-e', program], { timeoutMs: 60_000 })
  const { directory, child } = JSON.parse(r.stdout) as { directory: string, child: number }
  t.match((await run(['ip', 'netns', 'list'])).stdout, new RegExp(`${prefix}-rt`), 'it left namespaces')
  t.notOk(labsRunning().includes(prefix))
  t.ok((await removeLeftovers()).includes(prefix))
  await nothingLeft(prefix, directory)
  t.equal(startOf(child), null, 'and its process')
  t.same((await removeLeftovers()).filter((p) => p === prefix), [], 'once')
})
