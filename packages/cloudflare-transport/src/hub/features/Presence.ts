/**
 * Joins and leaves of topics, and members whose connection is lost or there again, gathered for a moment and told
 * to those who asked for them. A join and a leave within that moment cancel out, and so does a connection that is
 * lost and back. A crash loses a moment's news, never the state.
 */
import type { Address } from "@signal-hub/actor-core"
import type { PresenceChange, PresenceDiff, PresenceUpdate } from "../../protocol/HubMessage.ts"

type Change = "joined" | "left"

/** Most updates in one diff, so that each is far below the limit of a message. */
const MAX_UPDATES = 200

/** The news of one topic. */
class News {
  readonly changes = new Map<Address.Address, { readonly change: Change; readonly member: PresenceChange }>()
  readonly updates = new Map<Address.Address, boolean>()
}

/** Gathers joins, leaves and lost connections of topics until `presenceWindow` is over. */
export class Presence {
  readonly #topics = new Map<string, News>()
  readonly #schedule: () => void

  /** `schedule` is called when there is something to tell and was not before. */
  constructor(schedule: () => void) {
    this.#schedule = schedule
  }

  note(topic: string, change: Change, member: PresenceChange): void {
    const { changes, updates } = this.#of(topic)
    const { actorAddress } = member
    const before = changes.get(actorAddress)
    if (before === undefined || before.change === change) changes.set(actorAddress, { change, member })
    else changes.delete(actorAddress)
    if (change === "left") updates.delete(actorAddress)
  }

  /** The member's connection is lost, or there again. */
  update(topic: string, { actorAddress, isConnected }: PresenceUpdate): void {
    const { updates } = this.#of(topic)
    if (updates.get(actorAddress) === !isConnected) updates.delete(actorAddress)
    else updates.set(actorAddress, isConnected)
  }

  /** What is to be told now, a diff a topic; of more updates than one holds, further ones. */
  drain(): ReadonlyArray<PresenceDiff> {
    const diffs: Array<PresenceDiff> = []
    for (const [topic, { changes, updates }] of this.#topics) {
      const of = (wanted: Change) =>
        [...changes.values()].filter(({ change }) => change === wanted).map(({ member }) => member)
      const updated = [...updates].map(([actorAddress, isConnected]) => ({ actorAddress, isConnected }))
      if (changes.size > 0 || updated.length > 0) {
        const first = updated.splice(0, MAX_UPDATES)
        diffs.push({
          topic,
          joined: of("joined"),
          left: of("left"),
          ...(first.length > 0 && { updated: first }),
        })
      }
      while (updated.length > 0) {
        diffs.push({ topic, joined: [], left: [], updated: updated.splice(0, MAX_UPDATES) })
      }
    }
    this.#topics.clear()
    return diffs
  }

  #of(topic: string): News {
    if (this.#topics.size === 0) this.#schedule()
    let news = this.#topics.get(topic)
    if (news === undefined) this.#topics.set(topic, (news = new News()))
    return news
  }
}

/** The diff as one member sees it: nobody is told of their own. `undefined`: nothing is left. */
export const diffFor = (diff: PresenceDiff, member: Address.Address): PresenceDiff | undefined => {
  const isOwn = ({ actorAddress }: Pick<PresenceUpdate, "actorAddress">): boolean => actorAddress === member
  const { updated: all = [], ...changes } = diff
  if (!diff.joined.some(isOwn) && !all.some(isOwn)) return diff
  const joined = diff.joined.filter((one) => !isOwn(one))
  const updated = all.filter((one) => !isOwn(one))
  if (joined.length + diff.left.length + updated.length === 0) return undefined
  return { ...changes, joined, ...(updated.length > 0 && { updated }) }
}
