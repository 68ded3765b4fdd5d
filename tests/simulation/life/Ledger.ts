/**
 * What was sent, and what became of it: written down as it happens, judged at once where that can be, and
 * at the end. It knows the promises and no code that keeps them.
 */
import { Violation } from "./Violation.ts"

/** How a message goes: each way is a sequence of its own. */
export type Way = "tell" | "reliably" | "ask" | "publish"

/** What every message of the simulation carries. */
export interface Content {
  /** The process that sent it, and its number there, from 1, among what goes that way to that address. */
  readonly by: string
  readonly n: number
  readonly to: string
  readonly way: Way
}

interface Sent extends Content {
  /** The processes that it was delivered to. */
  readonly at: Set<string>
  /** What its sender was told, where it was not that all is well. */
  told: string | undefined
  /** Whether the hub has acknowledged it. */
  isAcknowledged: boolean
  /** The hub has given it up, for this reason. */
  deadLetter: string | undefined
}

export class Ledger {
  /** The first promise that was broken. */
  violation: Violation | undefined
  delivered = 0
  answered = 0
  asksEnded = 0
  /** Of sessions: how many began, went on, and could not go on. */
  readonly sessions = { connected: 0, resumed: 0, notResumed: 0 }
  /** By sender, way and address: what went, in its order. */
  readonly #lines = new Map<string, Array<Sent>>()
  readonly #byId = new Map<string, Sent>()
  /** By line: the last number of which there was a first delivery. */
  readonly #first = new Map<string, number>()
  /** By line and receiving process: the number last delivered. */
  readonly #last = new Map<string, number>()
  /** Publications that came to the process after one that was sent later. */
  readonly #late: Array<readonly [process: string, sent: Sent]> = []
  readonly #asks = new Map<string, { readonly by: string; ends: number }>()
  readonly #watches = new Map<string, number>()
  readonly #backAgain = new Set<string>()
  readonly #epochs = new Set<string>()

  /** Notes that a promise is broken; the first counts. */
  broken(invariant: string, detail: string): void {
    this.violation ??= new Violation(invariant, detail)
  }

  // -- messages

  /** The content of the next message that this process sends that way. */
  next(by: string, to: string, way: Way): Content {
    const line = this.#line(lineOf({ by, to, way }))
    const content = { by, n: line.length + 1, to, way }
    line.push({
      ...content,
      at: new Set(),
      told: undefined,
      isAcknowledged: false,
      deadLetter: undefined,
    })
    return content
  }

  /** The envelope that carries it has this id. */
  named(content: Content, id: string): void {
    this.#byId.set(id, this.#sent(content)!)
  }

  /** The process was given the message. */
  received(process: string, content: Content): void {
    this.delivered++
    const { n, way } = content
    const sent = this.#sent(content)
    const line = lineOf(content)
    if (sent === undefined) return this.broken("nothing is made up", `${process} was given ${line} ${n}`)
    // Not yet promised: who is put out with something unacknowledged, and takes the identity back, may be
    // given that again by way of the winner's outbox.
    if (sent.at.has(process) && this.#backAgain.has(process)) return
    if (sent.at.has(process)) return this.broken("nothing twice", `${process} was given ${line} ${n} again`)
    const key = `${line} ${process}`
    const last = this.#last.get(key) ?? 0
    if (n <= last) {
      sent.at.add(process)
      // A call on its way may outlive the object that made it: then its publisher does not know of it.
      if (way === "publish") return void this.#late.push([process, sent])
      return this.broken("nothing out of order", `${process} was given ${line} ${n} after ${last}`)
    }
    this.#last.set(key, n)
    if (sent.at.size === 0 && way === "reliably") {
      const first = this.#first.get(line) ?? 0
      // Once the hub has given a message up, a process that has lost its session may still hold it, untaken.
      if (n < first && sent.deadLetter === undefined)
        this.broken("a prefix is delivered", `${line} ${first} came to somebody before ${n} did`)
      this.#first.set(line, n)
    }
    sent.at.add(process)
  }

  /** The sender hears that it may not have arrived. */
  told(content: Content, how: string): void {
    const sent = this.#sent(content)
    if (sent !== undefined) sent.told ??= how
  }

  /** As `told`, by the envelope's id. */
  toldOf(id: string, how: string): void {
    const sent = this.#byId.get(id)
    if (sent !== undefined) sent.told ??= how
  }

  acknowledged(content: Content): void {
    this.#sent(content)!.isAcknowledged = true
  }

  /** The hub gave it up. Gives the message, where it is a reliable one of ours. */
  deadLetter(id: string, reason: string): Content | undefined {
    const sent = this.#byId.get(id)
    if (sent?.way !== "reliably") return undefined
    sent.deadLetter = reason
    return sent
  }

  /**
   * At the end: what was sent reliably is delivered, or its sender was told, or the receiver's session ended. Of
   * publications that came late, too, their publisher was told.
   */
  judgeMessages(mayBeUntold: (process: string) => boolean): void {
    for (const [process, { by, n, to, told }] of this.#late) {
      if (told !== undefined || mayBeUntold(by)) continue
      this.broken("nothing out of order", `${process} was given ${by} publish ${to} ${n} late`)
    }
    for (const [line, sents] of this.#lines) {
      for (const sent of sents) {
        const { at, by, deadLetter, isAcknowledged, n, told, way } = sent
        if (way !== "reliably" || at.size > 0 || told !== undefined || deadLetter !== undefined) continue
        if (!isAcknowledged && mayBeUntold(by)) continue
        const fate = isAcknowledged ? "was acknowledged, and" : ""
        this.broken("nothing reliable is lost", `${line} ${n} ${fate} came to nobody`)
      }
    }
  }

  // -- asks

  asked(id: string, by: string): void {
    this.#asks.set(id, { by, ends: 0 })
  }

  askEnded(id: string): void {
    this.asksEnded++
    const ask = this.#asks.get(id)!
    if (++ask.ends > 1) this.broken("an ask ends once", `${id} ended ${ask.ends} times`)
  }

  /** At the end: asks of processes that live have ended. */
  judgeAsks(isAlive: (process: string) => boolean): void {
    for (const [id, { by, ends }] of this.#asks) {
      if (ends === 0 && isAlive(by)) this.broken("every ask ends", `${id} of ${by} has not`)
    }
  }

  // -- sessions

  /** A connection was accepted in this epoch of the identity. */
  accepted(how: keyof Ledger["sessions"], identity: string, epoch: number, process: string): void {
    this.sessions[how]++
    const key = `${identity} ${epoch}`
    if (this.#epochs.has(key))
      this.broken("an epoch has one connection", `${process}: ${key} for a second time`)
    this.#epochs.add(key)
  }

  /** The process takes the identity back that was taken from it. */
  reclaimed(process: string): void {
    this.#backAgain.add(process)
  }

  // -- watches

  /** A process of the identity begins to watch the address. */
  watches(identity: string, address: string): void {
    const key = `${identity} ${address}`
    this.#watches.set(key, (this.#watches.get(key) ?? 0) + 1)
  }

  /** How often processes of the identity began to watch the address. */
  watched(identity: string, address: string): number {
    return this.#watches.get(`${identity} ${address}`) ?? 0
  }

  #line(key: string): Array<Sent> {
    let line = this.#lines.get(key)
    if (line === undefined) this.#lines.set(key, (line = []))
    return line
  }

  #sent(content: Content): Sent | undefined {
    return this.#lines.get(lineOf(content))?.[content.n - 1]
  }
}

const lineOf = ({ by, to, way }: Pick<Content, "by" | "to" | "way">): string => `${by} ${way} ${to}`
