/** The verdict on a whole run, once nothing can come any more: nothing was lost, nothing was left out. */
import type { Ledger, Message } from "./Ledger.ts"

export const judge = (ledger: Ledger): void => {
  judgeLosses(ledger)
  judgeGaps(ledger)
}

const groupBy = (messages: Iterable<Message>, keyOf: (message: Message) => string) => {
  const groups = new Map<string, Array<Message>>()
  for (const message of messages) {
    const key = keyOf(message)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [message])
    else group.push(message)
  }
  return groups
}

/** Each message was delivered, or its sender was told; each ask ended. */
const judgeLosses = (ledger: Ledger): void => {
  const silent: Array<Message> = []
  for (const message of ledger.unsettled()) {
    if (message.outcome !== undefined) {
      ledger.violated("delivered or reported", message, `${message.outcome}, but delivered to nobody`)
    } else if (message.kind === "tell") silent.push(message)
    else
      ledger.violated(message.kind === "ask" ? "an ask ends" : "its sender is told", message, "it never was")
  }
  // A tell's failure names it to nobody: there must be one for each.
  for (const [by, messages] of groupBy(silent, ({ by }) => by)) {
    const { refusals } = ledger.process(by)
    for (const message of messages.slice(refusals)) {
      ledger.violated("delivered or reported", message, `neither; ${by} was told of ${refusals} failures`)
    }
  }
}

/** What a session did not get between two messages of a sender, the sender was told of. */
const judgeGaps = (ledger: Ledger): void => {
  for (const messages of groupBy(ledger.messages, ({ by, to }) => `${by} ${to}`).values()) {
    const receivers = new Map<string, { readonly first: number; last: number }>()
    messages.forEach(({ deliveredTo }, index) => {
      for (const receiver of deliveredTo) {
        const known = receivers.get(receiver)
        if (known === undefined) receivers.set(receiver, { first: index, last: index })
        else known.last = index
      }
    })
    for (const [receiver, { first, last }] of receivers) {
      for (const message of messages.slice(first, last)) {
        if (message.deliveredTo.includes(receiver) || mayBeMissing(ledger, message)) continue
        const detail = `${receiver} got earlier and later ones of ${message.by}, not this`
        ledger.violated("in order, none left out", message, detail)
      }
    }
  }
}

/** Its sender was told of it; or crashed, or was told of a failure without a name, and so may have been. */
const mayBeMissing = (ledger: Ledger, { by, kind, outcome, deliveredTo }: Message): boolean => {
  const sender = ledger.process(by)
  if (outcome === "reported" || (sender.died && outcome !== "acknowledged")) return true
  return kind === "tell" && deliveredTo.length === 0 && sender.refusals > 0
}
