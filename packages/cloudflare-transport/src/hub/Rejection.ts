/** A request that is refused: thrown where it is noticed, answered once, where requests are dispatched. */
import type { HubErrorCode } from "../protocol/HubError.ts"
import { CloseCode } from "../protocol/CloseCode.ts"

/** Thrown by a handler that rejects its request: the sender gets `hub:error` with this code and these details. */
export class Rejection extends Error {
  readonly code: HubErrorCode
  readonly details: { readonly [key: string]: unknown }
  /** Where the refusal is also the end of the connection. */
  readonly close: CloseCode | undefined

  constructor(
    code: HubErrorCode,
    message: string,
    details: { readonly [key: string]: unknown } = {},
    close?: CloseCode,
  ) {
    super(message)
    this.code = code
    this.details = details
    this.close = close
  }
}

/** A malformed field: `invalid_message`, naming the field. */
export const malformed = (message: string): Rejection => new Rejection("invalid_message", message)
