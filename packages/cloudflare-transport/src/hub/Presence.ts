/**
 * Joins and leaves of topics, gathered for a moment and told to those who asked for them. A join and
 * a leave within that moment cancel out. A crash loses a moment's news, never the state.
 */
import type { Address } from "@signal-hub/actor-core"
import type { PresenceDiff, PresenceMember } from "../protocol/HubMessage.ts"

type Change = "joined" | "left"

export class Presence {
  readonly #changes = new Map<string, Map<Address.Address, { change: Change; member: PresenceMember }>>()
  readonly #schedule: () => void

  /** `schedule` is called when there is something to tell and was not before. */
  constructor(schedule: () => void) {
    this.#schedule = schedule
  }

  note(topic: string, change: Change, member: PresenceMember): void {
    if (this.#changes.size === 0) this.#schedule()
    let changes = this.#changes.get(topic)
    if (changes === undefined) this.#changes.set(topic, (changes = new Map()))
    const before = changes.get(member.actorAddress)
    if (before === undefined || before.change === change) changes.set(member.actorAddress, { change, member })
    else changes.delete(member.actorAddress)
  }

  /** What is to be told now, a diff a topic. */
  drain(): ReadonlyArray<PresenceDiff> {
    const diffs: Array<PresenceDiff> = []
    for (const [topic, changes] of this.#changes) {
      const of = (wanted: Change) =>
        [...changes.values()].filter(({ change }) => change === wanted).map(({ member }) => member)
      if (changes.size > 0) diffs.push({ topic, joined: of("joined"), left: of("left") })
    }
    this.#changes.clear()
    return diffs
  }
}

/** The diff as one member sees it: nobody is told of their own join. `undefined`: nothing is left. */
export const diffFor = (diff: PresenceDiff, member: Address.Address): PresenceDiff | undefined => {
  if (!diff.joined.some(({ actorAddress }) => actorAddress === member)) return diff
  const joined = diff.joined.filter(({ actorAddress }) => actorAddress !== member)
  return joined.length + diff.left.length === 0 ? undefined : { ...diff, joined }
}
