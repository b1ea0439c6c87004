/** Runs nft inside a network namespace. The only process this backend starts. */
import { spawn } from 'node:child_process'
import { LockstepError } from '../../contract/errors.js'
import { toolPath } from './probe.js'

/** It waits for nobody: one that hangs would hold every apply, and the stop. */
const NFT_MS = 10_000

/** `netns`: path of the namespace, empty for this one. @throws unavailable LS_B_NFT with nft's own words. */
export async function runNft (netns: string, rules: string): Promise<void> {
  const [command, args] = netns === '' ? ['nft', ['-f', '-']] : ['nsenter', [`--net=${netns}`, 'nft', '-f', '-']]
  const { code, output } = await new Promise<{ code: number | null, output: string }>((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['pipe', 'ignore', 'pipe'], env: { ...process.env, PATH: toolPath() }, timeout: NFT_MS, killSignal: 'SIGKILL' })
    let text = ''
    child.stderr.setEncoding('utf8').on('data', (part: string) => { if (text.length < 4096) text += part })
    child.on('error', (cause) => {
      reject(new LockstepError('unavailable', 'LS_B_NFT', `${command} cannot be started`, { object: 'ingress chain', next: 'install nftables and util-linux' }, cause))
    })
    child.on('close', (status, signal) => { resolve({ code: status, output: text.trim() || (signal === null ? '' : `no answer in ${NFT_MS / 1000} s`) }) })
    child.stdin.on('error', () => undefined)
    child.stdin.end(rules)
  })
  if (code !== 0) throw new LockstepError('unavailable', 'LS_B_NFT', 'the ingress chain was refused', { object: netns === '' ? 'this network namespace' : netns, found: output.split('\n')[0] || `exit ${code}`, next: 'the packet ports need CAP_NET_ADMIN and an nf_tables kernel' })
}
