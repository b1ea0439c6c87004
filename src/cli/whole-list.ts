/** Lists from an agent, to their end: an answer has as much as fits into one message. */
import { LockstepError } from '../contract/errors.js'
import type { Listing } from '../generated/proto/lockstep/v1/listing.js'

/** A list that changes under its reader is read anew, so often. */
const TRIES = 3

type Page<Field extends string> = Readonly<Record<Field, readonly unknown[]>> & { readonly nextPageToken: string }

/** The first answer, with the rows of all of them. `ask`: for one page. @throws what `ask` throws; stale LS_R_PAGE_GONE when rows go again and again */
export async function wholeList<Field extends string, Answer extends Page<Field>> (field: Field, ask: (listing: Listing) => Promise<Answer>): Promise<Answer> {
  for (let tries = 1; ; tries++) {
    try {
      const first = await ask({ pageSize: 0, pageToken: '', readMask: [] })
      const rows = [...first[field]]
      for (let token = first.nextPageToken; token !== '';) {
        const page = await ask({ pageSize: 0, pageToken: token, readMask: [] })
        rows.push(...page[field])
        token = page.nextPageToken
      }
      return { ...first, [field]: rows, nextPageToken: '' }
    } catch (error) {
      if (tries === TRIES || !(error instanceof LockstepError) || error.code !== 'LS_R_PAGE_GONE') throw error
    }
  }
}
