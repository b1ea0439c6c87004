/** The shortest list of steps that still breaks the same invariant: steps are left out, in halves and ever smaller pieces (ddmin), until none can be. */
export async function shortest (steps: readonly number[], breaks: (steps: readonly number[]) => Promise<boolean>, triesMax = 500): Promise<readonly number[]> {
  let list = steps
  let tries = 0
  for (let piece = Math.ceil(list.length / 2); piece >= 1;) {
    let cut = false
    for (let at = 0; at < list.length && tries < triesMax;) {
      const without = [...list.slice(0, at), ...list.slice(at + piece)]
      tries++
      if (await breaks(without)) {
        list = without
        cut = true
      } else at += piece
    }
    if (tries >= triesMax || (piece === 1 && !cut)) return list
    if (!cut) piece = Math.max(1, Math.floor(piece / 2))
    else piece = Math.max(1, Math.min(piece, Math.ceil(list.length / 2)))
  }
  return list
}
