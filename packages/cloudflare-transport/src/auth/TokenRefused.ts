/** Why a token lets nobody in: told to its bearer, so it says nothing of keys. */
import * as Data from "effect/Data"
import { CloseCode } from "../protocol/CloseCode.ts"

export type TokenRefusalCode = "unauthorized" | "token_expired" | "forbidden" | "internal_error"

/** `internal_error`: whether it is good can't be told now, as the keys can't be had. */
export class TokenRefused extends Data.TaggedError("TokenRefused")<{
  readonly code: TokenRefusalCode
  readonly message: string
}> {}

/** The deployment says neither who may enter nor that all may. The message says what to set. */
export class AuthMisconfigured extends Data.TaggedError("AuthMisconfigured")<{
  readonly message: string
}> {}

/** What a refusal is as the end of a connection. */
export const closeOf = (code: TokenRefusalCode): CloseCode => {
  if (code === "forbidden") return CloseCode.Forbidden
  return code === "internal_error" ? CloseCode.Unavailable : CloseCode.Unauthorized
}
