/** Looks every millisecond while somebody waits: for what a socket of ours brings, as there is no watcher of the event loop for it. */
const LOOK_MS = 1

export class Look {
  private timer: NodeJS.Timeout | null = null

  /** `waits`: somebody still does. */
  constructor (private readonly look: () => void, private readonly waits: () => boolean) {}

  arm (): void {
    if (!this.waits()) return
    this.timer ??= setTimeout(() => {
      this.timer = null
      this.look()
      this.arm()
    }, LOOK_MS)
  }

  close (): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
  }
}
