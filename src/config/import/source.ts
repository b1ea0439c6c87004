/** What an import is told beside the text. */
export interface Source {
  /** For messages. */
  readonly file: string
  /** Names of this node and of the other one; `null`: from the text, else node-1 and node-2. */
  readonly node: string | null
  readonly peer: string | null
  /** keepalived's `--config-id`. */
  readonly configId: string | null
}
