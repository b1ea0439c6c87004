import type { NativeTable } from '../native/binding.js'
import { fromNative } from '../native/errors.js'

/** Work of a call that was cut may still be on its way: a verify of a large table takes a second. */
export async function closeTable (table: NativeTable): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      table.close()
      return
    } catch (error) {
      if (fromNative(error).code !== 'LS_E_BUSY' || tries === 300) throw fromNative(error, { object: 'session table' })
      await new Promise(resolve => { setTimeout(resolve, 10) })
    }
  }
}
