/** The check of tokens in an object, in bounded time. */
import type { Authenticate, Authentication } from "../../auth/Authentication.ts"
import type { Claims } from "../../auth/Claims.ts"
import { TokenRefused } from "../../auth/TokenRefused.ts"
import type { ObjectRuntime } from "../../object/ObjectRuntime.ts"
import type { CheckToken } from "../HubPort.ts"

/**
 * Checks tokens as the deployment authenticates, each within `connectTimeout`; `null` in open mode. A running check
 * has a timer, which keeps the object from hibernating.
 */
export const tokenCheck = (
  authentication: Authentication,
  runtime: Pick<ObjectRuntime<unknown>, "port" | "unlessFailed">,
): CheckToken | null => {
  if (authentication.mode === "open") return null
  const { later, limits } = runtime.port
  const unavailable = new TokenRefused({ code: "internal_error", message: "tokens can't be verified now" })
  const check: Authenticate =
    authentication.mode === "token" ? authentication.authenticate : () => Promise.reject(unavailable)
  const verify = async (token: string): Promise<Claims | TokenRefused> => {
    const late = Promise.withResolvers<TokenRefused>()
    const cancel = later(limits.connectTimeout, () => late.resolve(unavailable))
    const checked = check(token).catch((error: TokenRefused) => error)
    return Promise.race([checked, late.promise]).finally(cancel)
  }
  return (token, done) => {
    // A core that failed meanwhile has closed the connection.
    const found = runtime.unlessFailed((result: Claims | TokenRefused) => void later(0, () => done(result)))
    void verify(token).then(found)
  }
}
