/**
 * The asks of this process that wait for an answer from elsewhere. Each ends once: by a failure told by the
 * hub, or by an answer of the address that was asked, or of who has the ask in its place. The server says who
 * that is; it is believed where the transport vouches for what only the server may say.
 */
import * as Result from "effect/Result"
import { type Address } from "./Address.ts"
import * as AskError from "./AskError.ts"
import type { Envelope } from "./Envelope.ts"
import { isAnswerOf, isByHub } from "./Forwarding.ts"
import type { Transport } from "./Transport.ts"

export interface OpenAsk {
  readonly address: Address
  /** What it left through, and its answer must come by; `null` while it is leaving. */
  transport: Transport | null
  /** Of a stream: takes an answer; whether it is not its last. */
  readonly next?: (answer: Envelope) => boolean
  /** Takes the payload of the answer, or the failure. */
  readonly settle: (end: Result.Result<unknown, AskError.AskError>) => void
}

/** What an answer turned out to be. `refused`: the hub's failure for something that is no open ask. */
export type Verdict = "settled" | "late_answer" | "unexpected_answer" | "refused"

export class Asks {
  readonly #open = new Map<string, OpenAsk>()

  open(id: string, ask: OpenAsk): void {
    this.#open.set(id, ask)
  }

  /** Forgets an ask; its answer will be late. Whether it was still open. */
  forget(id: string): boolean {
    return this.#open.delete(id)
  }

  /** Takes a tell with a `correlationId`. */
  answer(envelope: Envelope, by: Transport): Verdict {
    const id = envelope.correlationId ?? ""
    const open = this.#open.get(id)
    const failure = AskError.fromEnvelope(envelope)
    const fromHub = failure !== undefined && isByHub(envelope)
    if (open === undefined) return fromHub ? "refused" : "late_answer"
    if (open.transport !== null && open.transport !== by) return "unexpected_answer"
    if (!fromHub && !mayAnswer(open, envelope, by)) return "unexpected_answer"
    if (failure === undefined && open.next?.(envelope) === true) return "settled"
    this.#open.delete(id)
    open.settle(failure === undefined ? Result.succeed(envelope.payload) : Result.fail(failure))
    return "settled"
  }

  /** Ends all with this failure. */
  endAll(failure: AskError.AskError): void {
    const all = [...this.#open.values()]
    this.#open.clear()
    for (const open of all) open.settle(Result.fail(failure))
  }
}

const mayAnswer = ({ address }: OpenAsk, envelope: Envelope, { guardsAnswers }: Transport): boolean =>
  isAnswerOf(address, envelope) && (guardsAnswers === true || envelope.from === address)
