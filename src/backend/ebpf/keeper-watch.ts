/** There is a keeper as long as programs forward, and it is of this version: one that dies is started again, one from before an upgrade is replaced. */
import type { WorkBook } from '../../lib/work.js'
import { Keeper } from './keeper.js'

const FIRST_MS = 100
const LONGEST_MS = 60_000

export class KeeperWatch {
  /** Why there is none; empty: there is one, or none is wanted. */
  trouble = ''
  private wanted = false
  private timer: NodeJS.Timeout | null = null
  private pause = FIRST_MS

  /** `keeper`: the one that runs already; `work`: told of waits before another try; `launch`: what starts one. */
  constructor (private readonly folder: string, private readonly netns: string, private keeper: Keeper | null, private readonly work?: Pick<WorkBook, 'wait' | 'settled'>, private readonly launch: typeof Keeper.start = async (at, of) => await Keeper.start(at, of)) {}

  /** The agent has the role of the freer by now, so that a change of keepers is no change of the freer. Never fails: forwarding does not depend on it. */
  async start (): Promise<void> {
    this.wanted = true
    try {
      if (this.keeper?.outdated() === true) {
        await this.keeper.quit()
        this.keeper = null
      }
      const keeper = this.keeper ??= await this.launch(this.folder, this.netns)
      this.settled()
      const begun = Date.now()
      keeper.onGone(() => {
        this.keeper = null
        if (Date.now() - begun > LONGEST_MS) this.pause = FIRST_MS
        this.again('it ended')
      })
    } catch (error) {
      this.again((error as Error).message)
    }
  }

  private again (why: string): void {
    if (!this.wanted) return
    this.trouble = `keeper: ${why}; without it nothing ends sessions while the agent is away`
    this.work?.wait('keeper', '', this.pause, why)
    this.timer = setTimeout(() => { void this.start() }, this.pause).unref()
    this.pause = Math.min(2 * this.pause, LONGEST_MS)
  }

  /** No keeper from here on. */
  async end (): Promise<void> {
    this.stop()
    await this.keeper?.quit()
    this.keeper = null
  }

  /** The one that runs goes on without us. */
  stop (): void {
    this.wanted = false
    if (this.timer !== null) clearTimeout(this.timer)
    this.settled()
  }

  private settled (): void {
    this.trouble = ''
    this.work?.settled('keeper', '')
  }
}
